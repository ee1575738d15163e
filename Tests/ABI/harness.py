"""What every test of the release library shares: paths, compilers, and C programs that open the library by dlopen.

The library under test is build/liblstm.so.1, or the one that the variable LSTM_LIBRARY names.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import lstm_header
import pytest

ABI = Path(__file__).resolve().parent
ROOT = ABI.parent.parent
HEADER = ROOT / "include" / "lstm.h"
HEADER_TEXT = lstm_header.read(HEADER)
TOOLCHAIN = Path(shutil.which("swift") or "/usr/bin/swift").resolve().parent
CLANG = str(TOOLCHAIN / "clang")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-result"]


def library_path() -> Path:
    return Path(os.environ.get("LSTM_LIBRARY", ROOT / "build" / "liblstm.so.1")).resolve()


DLOPEN_HEADER = """/* Written by harness.py from lstm.h. */
#include <dlfcn.h>
#include <lstm.h>
#include <stdio.h>
#include <stdlib.h>

{pointers}

static void *find_symbol(void *library, const char *name) {{
  void *symbol = dlsym(library, name);
  if (!symbol) {{ printf("MISSING %s\\n", name); exit(3); }}
  return symbol;
}}

static void *open_library(const char *path) {{
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {{ printf("dlopen: %s\\n", dlerror()); exit(3); }}
{lookups}
  return library;
}}
"""


def dlopen_header(names) -> str:
    """lstm_dl.h: the calls of lstm.h through pointers that open_library() fills, so that a program links nothing."""
    pointers = "\n".join(f"static __typeof__(&{name}) dl_{name};\n#define {name} dl_{name}" for name in names)
    lookups = "\n".join(f'  *(void **)&dl_{name} = find_symbol(library, "{name}");' for name in names)
    return DLOPEN_HEADER.format(pointers=pointers, lookups=lookups)


class Workshop:
    """Compiles the C programs beside the tests, each once, into a temporary folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.built: dict[tuple[str, ...], Path] = {}
        (folder / "lstm_dl.h").write_text(dlopen_header(HEADER_TEXT.functions))

    def compile(self, *sources: Path, compiler: str = "gcc", flags: tuple[str, ...] = ()) -> Path:
        """A program of these C files; it may include <lstm_dl.h> and "support.h"."""
        key = (compiler, *map(str, sources), *flags)
        if key not in self.built:
            output = self.folder / f"{sources[0].stem}-{len(self.built)}"
            includes = [f"-I{HEADER.parent}", f"-I{ABI}", f"-I{self.folder}"]
            command = [compiler, "-std=gnu11", "-g", "-O1", *WARNINGS, *includes, *map(str, sources), "-o", str(output)]
            check([*command, *flags, "-ldl", "-lm", "-lpthread"])
            self.built[key] = output
        return self.built[key]

    def stub(self, source: str, name: str) -> Path:
        """A shared library made from C text, to prove that a harness can fail."""
        path = self.folder / f"{name}.c"
        path.write_text(source)
        output = self.folder / f"{name}.so"
        check(["gcc", "-shared", "-fPIC", "-w", f"-I{HEADER.parent}", str(path), "-o", str(output)])
        return output


def sanitizer_flags(sanitizer: str) -> tuple[str, ...]:
    """For a program that Swift's clang compiles: its ThreadSanitizer has interceptors that name libdispatch."""
    flags = [f"-fsanitize={sanitizer}", "-fno-omit-frame-pointer", "-rdynamic"]
    if sanitizer == "thread":
        folder = TOOLCHAIN.parent / "lib" / "swift" / "linux"
        flags += [f"-L{folder}", f"-Wl,-rpath,{folder}", "-ldispatch", "-lBlocksRuntime"]
    return tuple(flags)


def stub_source(sabotage: dict[str, str], without: str = "") -> str:
    """A library whose every function succeeds and does nothing, except where sabotaged."""
    bodies = {"void": "return;", "int": "return 0;", "const char *": 'return "stub";'}
    lines = [f"#include <{name}.h>" for name in ("lstm", "stdio", "stdlib")]
    for f in HEADER_TEXT.functions.values():
        parameters = ", ".join(f"{p.type} {p.name}" for p in f.parameters) or "void"
        if f.name != without:
            lines.append(f"{f.returns} {f.name}({parameters}) {{ {sabotage.get(f.name, bodies[f.returns])} }}")
    return "\n".join([*lines, ""])


def check(command: list, **options) -> str:
    """Runs a command and gives its output; a failure, a signal or a minute gone fails the test with that output."""
    result = run(command, **options)
    assert result.returncode == 0, describe(command, result)
    return result.stdout


def run(command: list, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        timeout=timeout,
        preexec_fn=_no_core_files,
        **options,
    )


def describe(command: list, result: subprocess.CompletedProcess) -> str:
    ending = f"exit {result.returncode}"
    if result.returncode < 0:
        ending = signal.Signals(-result.returncode).name
    return f"{' '.join(map(str, command))}: {ending}\n{result.stdout[-6000:]}"


def report(capsys, text: str) -> None:
    """Shows a measured figure in the test run, whatever pytest captures."""
    with capsys.disabled():
        print(f"\n    {text}", end="")


def findings(output: str) -> list[str]:
    """The lines in which a C program tells of a rule that was broken."""
    return [line for line in output.splitlines() if line.startswith("FINDING")]


def assert_no_findings(output: str) -> None:
    """Of findings that differ in numbers alone, the first is shown."""
    kinds = {re.sub(r"\d+", "", line): line for line in reversed(findings(output))}
    assert not kinds, f"{len(findings(output))} findings:\n" + "\n".join(list(reversed(kinds.values()))[:40])


def figure(output: str, name: str) -> int:
    """The number that a C program printed as "name=number"."""
    match = re.search(rf"\b{name}=(-?\d+)", output)
    assert match, f"no {name}= in the output:\n{output}"
    return int(match[1])


@pytest.fixture(scope="session")
def header() -> lstm_header.Header:
    return HEADER_TEXT


@pytest.fixture(scope="session")
def library() -> Path:
    path = library_path()
    if not path.exists():
        pytest.fail(f"{path} is not there: build it with `make` first")
    return path


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


def _no_core_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
