"""The header: read completely by our parser, and compiled by every C and C++ dialect without a warning."""

import re

import harness
import lstm_header
import pytest

C_DIALECTS = ["c90", "c99", "c11", "c17", "c2x"]
CXX_DIALECTS = ["c++98", "c++03", "c++11", "c++14", "c++17", "c++20"]
COMPILERS = [("gcc", "c", C_DIALECTS), (harness.CLANG, "c", C_DIALECTS)]
COMPILERS += [("g++", "c++", CXX_DIALECTS), (harness.CLANG + "++", "c++", CXX_DIALECTS)]
CASES = [(compiler, language, dialect) for compiler, language, dialects in COMPILERS for dialect in dialects]
STRICT = ["-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes"]


def test_parser_reads_a_small_header(tmp_path):
    path = tmp_path / "small.h"
    path.write_text(
        "/* Example.\n *\n *   #include <lstm.h>\n *   int main(void) { return 0; }\n */\n"
        '#define LSTM_CHECK __attribute__((x))\n#define LSTM_ERR_ARG (-1) /* why */\nextern "C" {\n'
        "typedef struct lstm_model lstm_model;\n"
        "typedef struct lstm_array { uint32_t rank; /* ; */ int64_t shape[LSTM_MAX_RANK];\n"
        "  void (*f)(int a, int b); } lstm_array;\n"
        "typedef int (*lstm_callback)(const char *text, void *user);\n"
        "LSTM_CHECK int lstm_train(const lstm_model *model,\n                          lstm_array **x);\n"
        "const char *lstm_version(void);\n}\n"
    )
    header = lstm_header.read(path)
    model = lstm_header.Parameter("const lstm_model *", "model")
    x = lstm_header.Parameter("lstm_array **", "x")
    assert header.functions == {
        "lstm_train": lstm_header.Function("lstm_train", "int", (model, x), True),
        "lstm_version": lstm_header.Function("lstm_version", "const char *", (), False),
    }
    fields = [(field.type, field.name, field.length) for field in header.structs["lstm_array"].fields]
    assert fields == [("uint32_t", "rank", ""), ("int64_t", "shape", "LSTM_MAX_RANK"), ("function", "f", "")]
    assert header.structs["lstm_model"].fields == ()
    assert header.callbacks == ("lstm_callback",)
    assert header.macros == {"LSTM_ERR_ARG": "(-1)"}
    assert header.example == "#include <lstm.h>\nint main(void) { return 0; }\n"


def test_parser_refuses_what_it_cannot_read(tmp_path):
    path = tmp_path / "odd.h"
    path.write_text("/* #include */\nunion lstm_odd { int a; };\n")
    with pytest.raises(ValueError, match="lstm_odd"):
        lstm_header.read(path)


def test_parser_misses_no_function(header):
    """Counted in another way: every `lstm_name(` outside comments, but the callback types and macros."""
    code = re.sub(r"/\*.*?\*/", "", harness.HEADER.read_text(), flags=re.DOTALL)
    assert sorted(header.functions) == sorted(re.findall(r"\b(lstm_\w+)\(", code))


@pytest.mark.parametrize(("compiler", "language", "dialect"), CASES, ids=lambda value: value.rsplit("/", 1)[-1])
def test_compiles(compiler, language, dialect, tmp_path):
    source = tmp_path / "use.txt"
    source.write_text("#include <lstm.h>\n#include <lstm.h>\nint main(void) { return LSTM_OK; }\n")
    flags = [flag for flag in STRICT if language == "c" or flag != "-Wstrict-prototypes"]
    include = f"-I{harness.HEADER.parent}"
    harness.check(
        [compiler, f"-std={dialect}", *flags, include, "-x", language, "-c", source, "-o", tmp_path / "use.o"]
    )


def test_compiling_can_fail(tmp_path):
    """The dialect matrix would notice C99 in the header."""
    source = tmp_path / "use.c"
    source.write_text("#include <lstm.h>\nint f(void) { for (int i = 0; i < 2; i++) {} return 0; } // no\n")
    command = ["gcc", "-std=c90", *STRICT, f"-I{harness.HEADER.parent}", "-c", source, "-o", tmp_path / "use.o"]
    assert harness.run(command).returncode != 0


def test_ignored_result_is_a_warning(header, tmp_path):
    """Every function that returns int is LSTM_CHECK, save those that only fill a struct."""
    unchecked = {f.name for f in header.functions.values() if f.returns == "int" and not f.checked}
    structs = ("array", "data", "options", "history", "generate_options", "decoding")
    assert unchecked == {f"lstm_{name}_init" for name in structs}
    source = tmp_path / "use.c"
    source.write_text("#include <lstm.h>\nvoid f(lstm_stream *s) { lstm_stream_reset(s); }\n")
    result = harness.run(["gcc", f"-I{harness.HEADER.parent}", "-c", source, "-o", tmp_path / "use.o"])
    assert "warn_unused_result" in result.stdout


def test_example_of_the_header_runs(header, library, tmp_path):
    (tmp_path / "example.c").write_text(header.example)
    program = tmp_path / "example"
    flags = ["-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", f"-I{harness.HEADER.parent}"]
    harness.check(["gcc", *flags, tmp_path / "example.c", library, "-o", program])
    output = harness.check([program], env={"LD_LIBRARY_PATH": str(library.parent)})
    answer, expected = re.fullmatch(r"(-?[\d.]+), expected (-?[\d.]+)\n", output).groups()
    assert abs(float(answer) - float(expected)) < 0.15, output
