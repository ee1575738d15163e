"""The pages of docs/layers say what the library says, and their examples run."""

import inspect
import re
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import layer_fields  # noqa: E402
import layer_pages  # noqa: E402

from lstm import layers  # noqa: E402

TYPES = layer_fields.types()


def page(kind: str) -> str:
    return (layer_pages.FOLDER / f"{kind}.md").read_text()


@pytest.mark.parametrize("kind", TYPES)
def test_page(kind):
    assert layer_pages.page_faults(kind, page(kind)) == []


def test_index():
    assert layer_pages.index_faults(page("README"), TYPES) == []
    assert {path.stem for path in layer_pages.FOLDER.glob("*.md")} == {*TYPES, "README"}


def test_types_are_those_of_the_registry():
    registry = (ROOT / "Sources/LSTMLayers/Registry.swift").read_text()
    assert sorted(TYPES) == sorted(re.findall(r'\btype: "(\w+)"', registry))


@pytest.mark.parametrize("kind", TYPES)
def test_the_header_and_python_have_every_field(kind):
    header = (ROOT / "include/lstm.h").read_text()
    said = header[header.index("Layers (B batch") : header.index("Weights begin as in Keras")]
    names = {field.name for field in layer_fields.fields(kind)}
    assert {name for name in (kind, *names) if not re.search(rf"\b{name}\b", said)} == set()
    cls = layers._TYPES[kind]
    arguments = {cls._renamed.get(name, name) for name in inspect.signature(cls).parameters}
    pairs = {"before", "after"} if kind in ("cropping", "zero_padding") else set()
    assert names - arguments == pairs


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("# conv1d", "# conv", "the title is not conv1d"),
        ("| `strides` |", "| `stride` |", "no row for strides"),
        ("| `strides` |", "| `strides_2` |", "strides_2: no such field"),
        ("| true or false | true |", "| true or false | false |", "use_bias: the default is true"),
        ("| a positive integer | 1 | steps from one w", "| an integer | 1 | steps from one w", "strides: the library"),
        ("| add `bias` |", "|  |", "use_bias: nothing is said"),
        ("`weights`", "weights", "the parameter weights is not named"),
        ('"kernel_size": 5', '"kernel_sizes": 5', "unknown field"),
        ("Conv1D(64, 5,", "Conv1D(64, 4,", "no such model in JSON"),
        ("Conv1D(64, 5,", "Conv2D(64, 5,", "Conv2D"),
        ("\nSource: ", "\n", "no source"),
        ("```json", "```js", "no example in JSON"),
    ],
)  # fmt: skip
def test_a_wrong_page_is_found(before, after, fault):
    text = page("conv1d")
    assert before in text
    faults = layer_pages.page_faults("conv1d", text.replace(before, after))
    assert any(fault in one for one in faults), faults


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("| [add](add.md) | the sum | yes |", "", "no row for add"),
        ("| [add](add.md) |", "| [plus](plus.md) |", "plus: no such layer"),
        ("| the sum | yes |", "| the sum | no |", "add: a stream of it is possible"),
        ("goes backwards | no |", "goes backwards | yes |", "bidirectional: a stream of it is not possible"),
        ('with `"padding": "causal"`', 'with `"padding": "same"`', "conv1d: no stream with"),
    ],
)
def test_a_wrong_index_is_found(before, after, fault):
    text = page("README")
    assert before in text
    assert any(fault in one for one in layer_pages.index_faults(text.replace(before, after), TYPES))


def test_tables_are_written_as_the_library_says():
    own, values = layer_fields.fields("gru"), layer_fields.described_alone("gru")
    text = page("gru")
    assert layer_pages.written(text, own, values) == text
    broken = text.replace("| true or false |", "| a number |").replace("| `units` |", "| `unit` |", 1)
    mended = layer_pages.written(broken, own, values)
    assert layer_pages.table_faults(mended, own, values) == ["units: nothing is said of it"]
