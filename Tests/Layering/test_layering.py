"""Imports point down only (docs/design.md). SwiftPM lets a skipped floor pass unnoticed, so the lines are read here."""

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent.parent / "Sources"

# From the ground up. The two C modules stand side by side and know nothing of each other.
FLOORS = [
    {"CLSTMKernels", "CLSTMShim"},
    {"LSTMKernels"},
    {"LSTMTensors"},
    {"LSTMDescription"},
    {"LSTMLayers"},
    {"LSTMModels"},
    {"LSTMTraining"},
    {"LSTMCAPI"},
]
HEIGHT = {module: height for height, floor in enumerate(FLOORS) for module in floor}

# Modules that one floor alone may see: the public header has one implementation.
ONLY_FOR = {"CLSTM": "LSTMCAPI"}
STANDARD_LIBRARY = {"Swift", "Synchronization"}

IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)",
    re.MULTILINE,
)
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)


def forbidden(module: str, imported: str) -> str | None:
    """Why `module` may not import `imported`, or None where it may."""
    if imported in STANDARD_LIBRARY:
        return None
    if imported != "CLSTM" and imported not in HEIGHT:
        return f"{imported} is no module of this library"
    if ONLY_FOR.get(imported, module) != module:
        return f"{imported} is for {ONLY_FOR[imported]} alone"
    if imported in HEIGHT and HEIGHT[imported] >= HEIGHT[module]:
        return f"{imported} is not below {module}"
    return None


def swift_files(module: str) -> list[Path]:
    return sorted((SOURCES / module).rglob("*.swift"))


def test_every_module_has_a_floor():
    assert {folder.name for folder in SOURCES.iterdir() if folder.is_dir()} == set(HEIGHT)


@pytest.mark.parametrize("module", sorted(name for name in HEIGHT if name.startswith("LSTM")))
def test_imports_point_down(module):
    files = swift_files(module)
    assert files, f"{module} has no Swift files"
    imports = [(file, name) for file in files for name in IMPORT.findall(file.read_text())]
    assert imports, f"{module} imports nothing: is the pattern right?"
    wrong = [f"{file.relative_to(SOURCES)}: {why}" for file, name in imports if (why := forbidden(module, name))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["CLSTMKernels", "CLSTMShim"])
def test_the_c_modules_include_only_their_own_and_the_system(module):
    own = {file.name for file in (SOURCES / module).rglob("*.*")}
    other = {file.name for name in FLOORS[0] - {module} for file in (SOURCES / name).rglob("*.h")} | {"lstm.h"}
    for file in (SOURCES / module).rglob("*.[chi]*"):
        names = {Path(name).name for name in INCLUDE.findall(file.read_text())}
        assert not names & (other - own), f"{file.relative_to(SOURCES)} includes {names & other}"


@pytest.mark.parametrize(
    "module, line, allowed",
    [
        ("LSTMLayers", "import LSTMTensors", True),
        ("LSTMTensors", "import Synchronization", True),
        ("LSTMCAPI", "import CLSTM", True),
        ("LSTMLayers", "internal import LSTMModels", False),
        ("LSTMLayers", "@testable public import struct LSTMTraining.Trainer", False),
        ("LSTMTensors", "  @_implementationOnly import Foundation", False),
        ("LSTMTensors", "@preconcurrency import Dispatch", False),
        ("LSTMTensors", "package import Glibc", False),
        ("LSTMLayers", "import CLSTMKernels", True),
        ("LSTMModels", "import CLSTM", False),
    ],
)
def test_the_rules_themselves(module, line, allowed):
    (name,) = IMPORT.findall(line)
    assert (forbidden(module, name) is None) == allowed
