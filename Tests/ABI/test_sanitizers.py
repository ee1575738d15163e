"""valgrind on the release library; AddressSanitizer and ThreadSanitizer on builds of their own.

The programs are exercise.c, which calls everything once, and threads.c, eight threads on one model.
"""

import re
import shutil

import harness

OBJCOPY = harness.TOOLCHAIN / "llvm-objcopy"


def sanitized_library(kind: str):
    harness.check(["make", "-s", "-C", harness.ROOT, f"{kind}-so"], timeout=900)
    return harness.ROOT / "build" / kind / "liblstm.so.1"


def clang_program(workshop, source: str, sanitizer: str):
    flags = harness.sanitizer_flags(sanitizer)
    return workshop.compile(harness.ABI / source, compiler=harness.CLANG, flags=flags)


def valgrind(program, library, folder):
    command = [shutil.which("valgrind"), "--leak-check=full", "--errors-for-leak-kinds=all", "--error-exitcode=9"]
    return harness.run([*command, "--trace-children=no", program, library], cwd=folder, timeout=300)


def test_valgrind(library, workshop, tmp_path, capsys):
    """On a copy without debug information, which valgrind 3.19 cannot read from lld's output."""
    copy = tmp_path / "liblstm.so.1"
    harness.check([OBJCOPY, "--strip-debug", library, copy])
    result = valgrind(workshop.compile(harness.ABI / "exercise.c"), copy, tmp_path)
    assert result.returncode == 0, harness.describe(["valgrind"], result)
    assert "All heap blocks were freed" in result.stdout
    errors = re.findall(r"ERROR SUMMARY: (\d+) errors", result.stdout)
    harness.report(capsys, f"valgrind: {' + '.join(errors)} errors in parent and child, all blocks freed")
    assert set(errors) == {"0"}


def test_valgrind_would_see_an_error(workshop, tmp_path):
    source = tmp_path / "bad.c"
    source.write_text(
        "#include <stdlib.h>\nint main(void) { char *volatile p = malloc(3), *volatile q = malloc(5);\n"
        "  *p = *q = 0;\n  return p[3] == 7 ? 1 : 0; }\n"
    )
    result = valgrind(workshop.compile(source), "unused", tmp_path)
    assert result.returncode == 9 and "Invalid read" in result.stdout and "definitely lost" in result.stdout


def test_address_sanitizer(workshop, tmp_path):
    library = sanitized_library("asan")
    for source in ("exercise.c", "fork_training.c"):
        harness.check([clang_program(workshop, source, "address"), library], cwd=tmp_path)
    harness.check([clang_program(workshop, "publishing.c", "address"), library, 20], cwd=tmp_path)


def test_thread_sanitizer(workshop, tmp_path):
    library = sanitized_library("tsan")
    harness.check([clang_program(workshop, "threads.c", "thread"), library], cwd=tmp_path, timeout=300)
    harness.check([clang_program(workshop, "publishing.c", "thread"), library, 20], cwd=tmp_path, timeout=300)


def test_thread_sanitizer_would_see_a_race(workshop, tmp_path):
    source = tmp_path / "race.c"
    source.write_text(
        "#include <pthread.h>\nstatic int n;\nstatic void *add(void *p) { return n++, p; }\n"
        "int main(void) { pthread_t t; pthread_create(&t, 0, add, 0); n++; return pthread_join(t, 0); }\n"
    )
    result = harness.run([clang_program(workshop, str(source), "thread")])
    assert result.returncode != 0 and "data race" in result.stdout
