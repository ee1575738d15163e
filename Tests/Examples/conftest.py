"""An installed liblstm, as a stranger has it, and the one way the tests run a program."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command, folder: Path | None = None, environment: dict[str, str] | None = None, minutes: float = 3) -> str:
    """What the program wrote; the test fails with it if the program does."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60 * minutes,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


class Installed:
    """The tree that `make install` made, and programs compiled against it alone."""

    def __init__(self, prefix: Path, programs: Path):
        self.prefix = prefix
        self.programs = programs
        self.environment = {"LD_LIBRARY_PATH": str(prefix / "lib"), "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}

    def pkg_config(self, *arguments: str) -> list[str]:
        return run("pkg-config", *arguments, "lstm", environment=self.environment).split()

    def compile(self, source: Path) -> Path:
        """A C99 program, compiled without a warning through pkg-config."""
        program = self.programs / source.stem
        warnings = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
        run("gcc", *warnings, source, "-o", program, *self.pkg_config("--cflags", "--libs"), "-lm")
        return program

    def run(self, program: Path, *arguments, folder: Path | None = None) -> str:
        return run(program, *arguments, folder=folder, environment=self.environment)


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Installed:
    prefix = tmp_path_factory.mktemp("prefix")
    run("make", "install", f"PREFIX={prefix}", folder=ROOT, minutes=10)
    return Installed(prefix, tmp_path_factory.mktemp("programs"))
