"""Bundles liblstm.so.1 with the package, building it first where it is not there, and names the wheel after it."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "liblstm.so.1"


def built_library() -> Path:
    """The library in the source tree's build folder. SystemExit: it is not there and cannot be built."""
    if LIBRARY.exists():
        return LIBRARY
    if not (ROOT / "include" / "lstm.h").exists():
        raise SystemExit(f"lstm: {ROOT} is not the source tree; install from it, with pip 21.3 or newer")
    if shutil.which("swift") is None:
        raise SystemExit("lstm: building liblstm.so.1 needs Swift 6.3 (https://swift.org/install); it is not in PATH")
    subprocess.run(["make", "-C", str(ROOT), "build/liblstm.so.1"], check=True)
    return LIBRARY


def wheel_platform(library: Path) -> str:
    """The manylinux tag of the newest glibc that `library` asks for; 2.17 is the oldest that has such a tag."""
    needed = re.findall(rb"\bGLIBC_2\.(\d+)", library.read_bytes())
    return f"manylinux_2_{max([17, *map(int, needed)])}_{platform.machine()}"


class BuildWithLibrary(build_py):
    """Copies the library into the package. An editable install finds the one in the build folder by itself."""

    def run(self) -> None:
        super().run()
        library = built_library()
        if not self.editable_mode:
            shutil.copy(library, Path(self.build_lib) / "lstm" / LIBRARY.name)


class WheelOfAnyPython(bdist_wheel):
    """The library needs a platform, but no particular Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", wheel_platform(built_library())


class PlatformDistribution(Distribution):
    """Goes where packages with machine code go."""

    def has_ext_modules(self) -> bool:
        return True


def version() -> str:
    text = Path(__file__).with_name("lstm").joinpath("_library.py").read_text()
    return re.findall(r'^LSTM_VERSION = "(.*)"', text, re.MULTILINE)[0]


setup(
    version=version(),
    distclass=PlatformDistribution,
    options={"build": {"build_base": str(LIBRARY.parent / "python")}},  # where `make clean` finds it
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelOfAnyPython},
)
