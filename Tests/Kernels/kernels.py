#!/usr/bin/env python3
"""Builds the kernels with C programs, without Swift; counts their instructions.

Tests/Kernels/kernels.py    renews counts.json, after a change that is worth its instructions or a new compiler
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "Sources/CLSTMKernels"
COUNTS = HERE / "counts.json"
ARM = "aarch64-linux-gnu"
CHECKS = [
    "check.c",
    "check_products.c",
    "check_compressed.c",
    "check_cells.c",
    "check_split_cells.c",
    "check_elementwise.c",
    "support.c",
]


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def compile_with_kernels(programs: list[str], folder: Path, target: str | None = None) -> Path:
    """A program of C files and the kernels, by the compiler of the Swift toolchain, which builds the library too.

    For another `target` it is linked by that system's gcc, without shared libraries, so that it needs none to run.
    """
    clang = Path(shutil.which("swiftc") or "swiftc").resolve().parent / "clang"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES / 'include'}"]
    if target:
        flags.append(f"--target={target}")
    sources = [HERE / name for name in programs] + sorted(SOURCES.glob("*.c"))
    linker = [f"{target}-gcc", "-static"] if target else [clang]
    objects = [f"{source.stem}.o" for source in sources]
    for command in [[clang, *flags, "-c", *sources], [*linker, *objects, "-lm", "-o", "program"]]:
        done = run(command, folder)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
    return folder / "program"


def count_instructions(folder: Path) -> dict[str, int]:
    """The instructions of each call in counts.c."""
    program = compile_with_kernels(["counts.c", "support.c"], folder)
    done = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=calls", program], folder)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    counts = {}
    for dump in sorted(folder.glob("calls.*"), key=lambda path: int(path.suffix[1:])):
        text = dump.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if name and total:
            counts[name[1]] = int(total[1])
    return counts


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        COUNTS.write_text(json.dumps(count_instructions(Path(scratch)), indent=2) + "\n")
    sys.stdout.write(COUNTS.read_text())
