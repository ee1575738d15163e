"""The wheel: bundles the library, bears the right tag, and works in a fresh environment without the source tree."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import PACKAGE, ROOT

import lstm

HELLO = """
import numpy as np
import lstm
from lstm.layers import LSTM, Dense
assert lstm.__file__.startswith(%r), lstm.__file__
model = lstm.Sequential([LSTM(4), Dense(1)])
model.compile("adam", "mse")
model.fit(np.ones((8, 3, 2)), np.ones(8), verbose=0)
print(lstm.__version__, model.predict(np.ones((1, 3, 2))).shape)
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments):
    return run(
        sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, env={**os.environ, "PYTHONPATH": ""}
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made from a copy of what the build needs, so that the source tree stays clean."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "build").mkdir()
    (tree / "bindings").mkdir()
    shutil.copy(ROOT / "build" / "liblstm.so.1", tree / "build")
    ignored = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*")
    shutil.copytree(PACKAGE, tree / "bindings" / "python", ignore=ignored)
    pip(
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--wheel-dir",
        tree / "dist",
        tree / "bindings" / "python",
    )
    (path,) = (tree / "dist").iterdir()
    return path


def test_the_name(wheel):
    """Any Python 3 on a glibc at least as new as the newest symbol that the library asks for."""
    match = re.fullmatch(rf"lstm-{re.escape(lstm.__version__)}-py3-none-manylinux_2_(\d+)_(\w+)\.whl", wheel.name)
    assert match, wheel.name
    symbols = run("objdump", "-T", ROOT / "build" / "liblstm.so.1")
    needed = [int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", symbols)]
    assert int(match[1]) == max(17, *needed)
    assert match[2] == sysconfig.get_platform().split("-")[1]


def test_what_is_inside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    modules = [str(path.relative_to(PACKAGE)) for path in (PACKAGE / "lstm").rglob("*.py")]
    assert sorted(name for name in names if name.startswith("lstm/")) == sorted(
        [*modules, "lstm/liblstm.so.1", "lstm/py.typed"]
    )
    assert zipfile.ZipFile(wheel).read("lstm/liblstm.so.1") == (ROOT / "build" / "liblstm.so.1").read_bytes()
    metadata = next(name for name in names if name.endswith("METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    requirements = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert len(requirements) == 1 and "numpy" in requirements[0]


def test_it_works_in_a_fresh_environment(wheel, tmp_path):
    home = tmp_path / "fresh"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip()
    (Path(site) / "numpy.pth").write_text(str(Path(np.__file__).parents[1]))  # numpy, without a download
    pip("--python", python, "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", wheel)
    environment = {"PATH": "/usr/bin:/bin"}
    output = run(python, "-c", HELLO % site, cwd=tmp_path, env=environment)
    assert output == f"{lstm.__version__} (1, 1)\n"


def test_the_build_says_what_is_missing(tmp_path, monkeypatch):
    """Without a library and without Swift, or away from the source tree, one line says so."""
    package = tmp_path / "bindings" / "python"
    shutil.copytree(PACKAGE / "lstm", package / "lstm")
    shutil.copy(PACKAGE / "setup.py", package)
    monkeypatch.setattr("setuptools.setup", lambda **arguments: None)
    setup = runpy.run_path(str(package / "setup.py"))
    with pytest.raises(SystemExit, match="is not the source tree"):
        setup["built_library"]()
    (tmp_path / "include").mkdir()
    shutil.copy(ROOT / "include" / "lstm.h", tmp_path / "include")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs Swift 6\.3 .*not in PATH"):
        setup["built_library"]()
    assert setup["version"]() == lstm.__version__


def test_the_oldest_tag_is_2_17(tmp_path, monkeypatch):
    monkeypatch.setattr("setuptools.setup", lambda **arguments: None)
    setup = runpy.run_path(str(PACKAGE / "setup.py"))
    library = tmp_path / "library"
    for text, minor in ((b"", 17), (b"GLIBC_2.2.5", 17), (b"GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.4\0", 34)):
        library.write_bytes(text)
        assert setup["wheel_platform"](library).startswith(f"manylinux_2_{minor}_")
