"""The ctypes declarations are those of lstm.h: every function, struct, callback and macro, none too many."""

import ctypes
import re
import subprocess

import lstm_header
import pytest
from conftest import ROOT

from lstm import _library

PATH = ROOT / "include" / "lstm.h"
HEADER = lstm_header.read(PATH)

CTYPES = {
    "void": None,
    "int": ctypes.c_int,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
    "char": ctypes.c_char,
    "char *": ctypes.c_char_p,
    "void *": ctypes.c_void_p,
}


def to_ctypes(text):
    """The ctypes type of a C type, as "const char * const *"."""
    text = re.sub(r"\bconst\b", "", text)
    text = re.sub(r"\s*(\*+)\s*", r" \1", re.sub(r"\s+", " ", text).strip()).replace("* *", "**").strip()
    if text in CTYPES:
        return CTYPES[text]
    if text.endswith("*"):
        return ctypes.POINTER(to_ctypes(text[:-1]))
    return getattr(_library, text)


def test_reads_types():
    assert to_ctypes("const char * const *") is ctypes.POINTER(ctypes.c_char_p)
    assert to_ctypes("lstm_model **") is ctypes.POINTER(ctypes.POINTER(_library.lstm_model))
    assert to_ctypes("const void *") is ctypes.c_void_p


def test_functions_are_those_of_the_header():
    assert list(_library.FUNCTIONS) == list(HEADER.functions)


@pytest.mark.parametrize("name", HEADER.functions)
def test_signature(name):
    function = HEADER.functions[name]
    expected = to_ctypes(function.returns), [to_ctypes(parameter.type) for parameter in function.parameters]
    assert _library.FUNCTIONS[name] == expected
    loaded = getattr(_library.library, name)
    assert (loaded.restype, loaded.argtypes) == expected


def test_structs_are_those_of_the_header():
    declared = {name for name, value in vars(_library).items() if isinstance(value, type(ctypes.Structure))}
    assert declared - {"Structure"} == set(HEADER.structs)


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """What gcc says: the size of every struct, offset and size of every field, value of every whole-number macro."""
    lines = []
    for struct in HEADER.structs.values():
        if struct.fields:
            lines.append(f'printf("{struct.name} %zu\\n", sizeof({struct.name}));')
        for field in struct.fields:
            place = f"(({struct.name} *)0)->{field.name}"
            offset = f"offsetof({struct.name}, {field.name})"
            lines.append(f'printf("{struct.name}.{field.name} %zu %zu\\n", {offset}, sizeof {place});')
    for name, value in HEADER.macros.items():
        if not value.startswith('"'):
            lines.append(f'printf("{name} %ld\\n", (long)({name}));')
    folder = tmp_path_factory.mktemp("probe")
    body = "\n".join(lines)
    (folder / "probe.c").write_text(
        f"#include <lstm.h>\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {{\n{body}\nreturn 0; }}\n"
    )
    command = ["gcc", "-I", str(PATH.parent), "-o", str(folder / "probe"), str(folder / "probe.c")]
    subprocess.run(command, check=True)
    output = subprocess.run([str(folder / "probe")], check=True, capture_output=True, text=True).stdout
    return {line.split()[0]: [int(number) for number in line.split()[1:]] for line in output.splitlines()}


@pytest.mark.parametrize("name", [name for name, struct in HEADER.structs.items() if struct.fields])
def test_struct_layout(name, probe):
    declared = getattr(_library, name)
    fields = HEADER.structs[name].fields
    assert [field[0] for field in declared._fields_] == [field.name for field in fields]
    assert [ctypes.sizeof(declared)] == probe[name]
    for field, (_, kind) in zip(fields, declared._fields_):
        place = getattr(declared, field.name)
        assert [place.offset, place.size] == probe[f"{name}.{field.name}"]
        if field.type == "function":
            assert kind is getattr(_library, f"lstm_{field.name}")
        elif field.length:
            length = getattr(_library, field.length) if not field.length.isdigit() else int(field.length)
            assert (kind._type_, kind._length_) == (to_ctypes(field.type), length)
        else:
            assert kind is to_ctypes(field.type)


def test_function_pointers():
    code = re.sub(r"/\*.*?\*/", "", PATH.read_text(), flags=re.DOTALL)
    found = re.findall(r"(\w+ \**)\(\*(\w+)\)\(([^)]*)\)", code)
    assert len(found) == 6
    for result, name, parameters in found:
        declared = getattr(_library, name if name.startswith("lstm_") else f"lstm_{name}")
        types = [to_ctypes(re.sub(r"\w+\s*$", "", parameter)) for parameter in parameters.split(",")]
        assert (declared._restype_, list(declared._argtypes_)) == (to_ctypes(result), types), name


def test_macros(probe):
    declared = {name: value for name, value in vars(_library).items() if name.startswith("LSTM_")}
    assert set(declared) == set(HEADER.macros)
    for name, value in declared.items():
        assert value == (HEADER.macros[name].strip('"') if isinstance(value, str) else probe[name][0]), name


def test_a_library_without_our_functions_is_refused(tmp_path):
    library = tmp_path / "liblstm.so.1"
    (tmp_path / "old.c").write_text("int lstm_version;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "old.c")], check=True)
    with pytest.raises(ImportError, match=r"cannot use .*/liblstm\.so\.1: .*lstm_build_info.*make"):
        _library.load(str(library))
    with pytest.raises(ImportError, match=r"cannot use /nowhere/liblstm\.so\.1"):
        _library.load("/nowhere/liblstm.so.1")
