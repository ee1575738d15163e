"""Layouts and numbers that programs have compiled in: they never change, so they are pinned here.

layout.json holds, for x86-64, the size of every public struct, the offset of each of its fields, and every macro but
the version. A new field or macro is added to that file by hand; a changed number means that old programs would break.
"""

import json

import harness

PINNED = json.loads((harness.ABI / "layout.json").read_text())


def probe_source(header) -> str:
    lines = ["#include <lstm.h>", "#include <stdio.h>", "int main(void) {"]
    for struct in header.structs.values():
        if struct.fields:
            lines.append(f'  printf("{struct.name} sizeof %zu\\n", sizeof({struct.name}));')
        for field in struct.fields:
            name = f"{struct.name}, {field.name}"
            lines.append(f'  printf("{struct.name} {field.name} %zu\\n", offsetof({name}));')
    for macro, value in header.macros.items():
        if macro.startswith("LSTM_VERSION"):
            continue
        form = "%s" if value.startswith('"') else "%d"
        lines.append(f'  printf("macros {macro} {form}\\n", {macro});')
    return "\n".join([*lines, "  return 0;", "}", ""])


def measure(header, folder, include=harness.HEADER.parent) -> dict:
    """What the C compiler says: {struct: {"sizeof": size, field: offset}, "macros": {name: value}}."""
    (folder / "probe.c").write_text(probe_source(header))
    harness.check(["gcc", "-Wall", "-Werror", f"-I{include}", folder / "probe.c", "-o", folder / "probe"])
    found: dict = {}
    for line in harness.check([folder / "probe"]).splitlines():
        group, name, value = line.split(maxsplit=2)
        found.setdefault(group, {})[name] = int(value) if value.lstrip("-").isdigit() else value
    return found


def test_layouts_and_macros_are_those_pinned(header, tmp_path):
    assert measure(header, tmp_path) == PINNED


def test_moved_field_is_seen(header, tmp_path):
    changed = harness.HEADER.read_text().replace("uint32_t rank; /*", "uint64_t rank; /*")
    (tmp_path / "lstm.h").write_text(changed)
    assert measure(header, tmp_path, include=tmp_path)["lstm_array"] != PINNED["lstm_array"]


def test_structs_begin_with_their_size_and_have_no_holes(header):
    sizes = {"uint32_t": 4, "int32_t": 4, "int64_t": 8, "uint64_t": 8, "size_t": 8, "double": 8, "char": 1}
    for name, struct in header.structs.items():
        if not struct.fields:
            continue
        assert (struct.fields[0].type, struct.fields[0].name) == ("uint32_t", "struct_size"), name
        end = 0
        for field in struct.fields:
            assert PINNED[name][field.name] == end, f"hole before {name}.{field.name}"
            end += sizes.get(field.type, 8) * int(header.macros.get(field.length, 1))
        assert PINNED[name]["sizeof"] == end, f"hole at the end of {name}"
