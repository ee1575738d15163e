"""Every example is short, compiles without a warning through pkg-config, runs, and prints what it should."""

import re
import shutil
import sys

import pytest
from conftest import ROOT, run

C_EXAMPLES = sorted((ROOT / "examples/c").glob("0*.c"))
PYTHON_EXAMPLES = sorted((ROOT / "examples/python").glob("[0-9]*.py"))
NAMES = ["01_hello", "02_sentiment", "03_stream", "04_own_training_loop", "05_save_load_resume", "06_generate"]
C_NAMES = [*NAMES, "07_reverse"]
PYTHON_NAMES = [*NAMES, "07_ctc", "08_crf", "09_reverse", "10_inside", "11_dates", "12_online"]
REVIEWS = ROOT / "data/movie-reviews"

# What each example prints when all is well; the programs check their own figures and say so by their exit code too.
PRINTS = {
    "01_hello": [r"160,?000", r"(?i)epoch 5/5", r"val_loss", r"first sample: predicted 0\.\d+"],
    "03_stream": [r"streamed equals the whole sequence", r"mean error 0\.0\d+"],
    "04_own_training_loop": [r"batch +0  loss", r"= 0\.[34]\d+"],
    "07_ctc": [r"letters wrong [0-4]\.\d %", r"read:"],
    "08_crf": [r"softmax +right", r"crf +right [89]\d\.\d %, forbidden neighbours 0\.0 %", r"true"],
    "10_inside": [r"mean error of the sum: 0\.0[0-4]\d", r"two marked numbers in the answer: [6-9]\d %"],
    "11_dates": [r"thursday, 5 march 1987 -> 1987-03-05", r"dates without a mistake: (9\d|100)"],
    **dict.fromkeys(("07_reverse", "09_reverse"), [r"digits right when taught", r"without a mistake"]),
    "05_save_load_resume": [r"6 epochs equal 2 epochs, a file and 4 more"],
}


def name_of(path) -> str:
    return f"{path.parent.name}-{path.stem}"


def test_the_examples_exist():
    assert [path.stem for path in C_EXAMPLES] == C_NAMES
    assert [path.stem for path in PYTHON_EXAMPLES] == PYTHON_NAMES


@pytest.mark.parametrize("path", [*C_EXAMPLES, *C_EXAMPLES[0].parent.glob("*.h"), *PYTHON_EXAMPLES], ids=name_of)
def test_is_under_80_lines(path):
    assert len(path.read_text().splitlines()) < 80


@pytest.mark.parametrize("source", [path for path in C_EXAMPLES if path.stem in PRINTS], ids=name_of)
def test_c_example(source, installed, tmp_path):
    output = installed.run(installed.compile(source), folder=tmp_path)
    for pattern in PRINTS[source.stem]:
        assert re.search(pattern, output), f"{pattern} not in:\n{output}"


@pytest.mark.parametrize("script", [path for path in PYTHON_EXAMPLES if path.stem in PRINTS], ids=name_of)
def test_python_example(script, tmp_path):
    output = run(sys.executable, script, folder=tmp_path)
    for pattern in PRINTS[script.stem]:
        assert re.search(pattern, output), f"{pattern} not in:\n{output}"


@pytest.fixture(scope="module")
def small_reviews(tmp_path_factory):
    """A tenth of the reviews: enough to run the programs, too few to learn much from."""
    folder = tmp_path_factory.mktemp("reviews")
    for name in ("train.tsv", "validation.tsv", "test.tsv"):
        lines = (REVIEWS / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(lines[::10]))
    return folder


def test_sentiment_from_c_to_python(installed, small_reviews, tmp_path):
    program = installed.compile(ROOT / "examples/c/02_sentiment.c")
    output = installed.run(program, small_reviews, tmp_path, "A fine film.", "Œuvre ennuyeuse, 0/10")
    assert re.search(r"^test accuracy \d\d\.\d % of 106 reviews$", output, re.MULTILINE), output
    assert re.search(r"^ *\d+\.\d % positive: A fine film\.$", output, re.MULTILINE), output
    assert re.search(r"^ *\d+\.\d % positive: Œuvre ennuyeuse, 0/10$", output, re.MULTILINE), output
    header, *epochs = (tmp_path / "history.csv").read_text().splitlines()
    assert header == "loss,accuracy,val_loss,val_accuracy"
    assert 1 <= len(epochs) <= 15 and all(len(row.split(",")) == 4 for row in epochs)

    output = run(sys.executable, ROOT / "examples/python/demo_check.py", small_reviews, tmp_path)
    assert "106 answers, every bit the same" in output
    assert (tmp_path / "learning-curve.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_sentiment_in_python(small_reviews, tmp_path):
    output = run(sys.executable, ROOT / "examples/python/02_sentiment.py", small_reviews, tmp_path, "A fine film.")
    assert re.search(r"^test accuracy \d\d\.\d % of 106 reviews$", output, re.MULTILINE), output
    assert re.search(r"^ *\d+\.\d % positive: A fine film\.$", output, re.MULTILINE), output
    assert (tmp_path / "learning-curve.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_online_learning():
    output = run(sys.executable, ROOT / "examples/python/12_online.py", REVIEWS)
    costs = [float(bits) for bits in re.findall(r"(?:learning|frozen) (\d\.\d\d)", output)]
    assert len(costs) == 6 and costs[4] < 4 and costs[5] > 8, output
    assert re.search(r"another thread had \d+ answers of \d kinds", output), output


def test_what_is_written_in_both_languages(installed, small_reviews):
    """The same model, seed and options: the same text."""
    program = installed.compile(ROOT / "examples/c/06_generate.c")
    output = installed.run(program, small_reviews, "A film ", "The ")
    script = run(sys.executable, ROOT / "examples/python/06_generate.py", small_reviews, "A film ", "The ")
    written = [re.findall(r"^(?:A film|The) .*$", text, re.MULTILINE) for text in (output, script)]
    assert written[0] == written[1] and len(written[0]) == 2, output + script
    assert all(20 < len(text) <= 170 for text in written[0]), written
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d+)", output)]
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_sentiment_check_finds_a_difference(installed, small_reviews, tmp_path):
    """The bit-for-bit comparison of the demo can fail: one answer is changed in its last bit."""
    installed.run(installed.compile(ROOT / "examples/c/02_sentiment.c"), small_reviews, tmp_path)
    answers = bytearray((tmp_path / "predictions.f32").read_bytes())
    answers[40] ^= 1
    (tmp_path / "predictions.f32").write_bytes(answers)
    with pytest.raises(AssertionError, match="differ from those of C: 1 of 106"):
        run(sys.executable, ROOT / "examples/python/demo_check.py", small_reviews, tmp_path)


def test_sentiment_names_a_missing_file(installed, tmp_path):
    program = installed.compile(ROOT / "examples/c/02_sentiment.c")
    with pytest.raises(AssertionError, match="train.tsv: No such file or directory"):
        installed.run(program, tmp_path, tmp_path)


def test_resume_into_a_folder_that_is_not_there(installed, tmp_path):
    program = installed.compile(ROOT / "examples/c/05_save_load_resume.c")
    with pytest.raises(AssertionError, match="nowhere/model.safetensors"):
        installed.run(program, tmp_path / "nowhere/model.safetensors")


def test_cmake_finds_the_library(installed, tmp_path):
    """find_package, a shared and a static program, in a tree that was moved after the installation."""
    moved = tmp_path / "moved"
    shutil.copytree(installed.prefix, moved, symlinks=True)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "project(hello C)\n"
        "set(CMAKE_C_STANDARD 99)\n"
        "find_package(lstm 0.1 REQUIRED)\n"
        f"add_executable(shared {ROOT}/examples/c/01_hello.c)\n"
        "target_link_libraries(shared PRIVATE lstm::lstm)\n"
        f"add_executable(static {ROOT}/examples/c/01_hello.c)\n"
        "target_link_libraries(static PRIVATE lstm::static)\n"
    )
    build = tmp_path / "build"
    run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={moved}")
    run("cmake", "--build", build)
    assert run(build / "shared") == run(build / "static")
    assert "liblstm.so.1" in run("readelf", "-d", build / "shared")
    assert "liblstm" not in run("readelf", "-d", build / "static")


def test_cmake_refuses_a_newer_version(installed, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(hello C)\nfind_package(lstm 0.99 REQUIRED)\n"
    )
    with pytest.raises(AssertionError, match="lstm"):
        run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}")


def test_what_is_installed(installed):
    version = run("sed", "-n", r's/^#define LSTM_VERSION "\(.*\)"/\1/p', ROOT / "include/lstm.h").strip()
    minor, patch = version.split(".")[1:]
    files = {str(path.relative_to(installed.prefix)) for path in installed.prefix.rglob("*") if not path.is_dir()}
    assert files == {
        "include/lstm.h",
        "lib/liblstm.a",
        "lib/liblstm.so",
        "lib/liblstm.so.1",
        f"lib/liblstm.so.1.{minor}.{patch}",
        "lib/cmake/lstm/lstmConfig.cmake",
        "lib/cmake/lstm/lstmConfigVersion.cmake",
        "lib/pkgconfig/lstm.pc",
    }
    assert (installed.prefix / "lib/liblstm.so").resolve().name == f"liblstm.so.1.{minor}.{patch}"
    assert installed.pkg_config("--modversion") == [version]


def test_the_static_archive_needs_only_libm(installed, tmp_path):
    program = tmp_path / "static"
    archive = installed.prefix / "lib/liblstm.a"
    run("gcc", f"-I{installed.prefix}/include", ROOT / "examples/c/01_hello.c", archive, "-lm", "-o", program)
    assert "epoch 5/5" in run(program)


def test_the_static_archive_defines_lstm_names_only(installed):
    symbols = run("nm", "--extern-only", "--defined-only", installed.prefix / "lib/liblstm.a").split("\n")
    names = {line.split()[2] for line in symbols if len(line.split()) == 3}
    assert "lstm_create" in names
    assert {name for name in names if not name.startswith("lstm_")} == set()


@pytest.mark.parametrize(
    ("task", "cell", "steps", "little"), [("parity", "slstm", 700, 0.7), ("modular", "lstm", 1800, 0.6)]
)
def test_formal_languages(task, cell, steps, little, tmp_path):
    """A third of the steps suffices for a cell that can track a state at all."""
    script = ROOT / "examples/python/formal_languages.py"
    output = run(sys.executable, script, cell, "min_gru", "--task", task, "--steps", steps, folder=tmp_path)
    found = {cell: float(share) for cell, share in re.findall(r"^(\w+) .* 40-256: ([\d.]+)$", output, re.MULTILINE)}
    assert found[cell] > 0.95 and found["min_gru"] < little, output


@pytest.mark.parametrize(
    ("task", "options", "reached"),
    [
        ("adding", ["--timesteps", 20, "--units", 32, "--steps", 600], 0.01),
        ("copy", ["--timesteps", 10, "--units", 48, "--steps", 1500], 0.62),
    ],
)
def test_long_memory(task, options, reached, tmp_path):
    """Over a tenth of the timesteps; without memory the losses are 0.167 and 0.693."""
    script = ROOT / "examples/python/long_memory.py"
    output = run(sys.executable, script, task, "--rate", 0.01, *options, folder=tmp_path)
    naive = float(re.search(r"without memory ([\d.]+)", output)[1])
    last = {cell: float(loss) for cell, loss in re.findall(r"^(\w+) +after .* steps ([\d.]+)$", output, re.MULTILINE)}
    assert last.keys() == {"lstm", "gru"} and max(last.values()) < reached < 0.9 * naive, output
