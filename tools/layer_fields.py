"""What the library says of its layers: types, fields with their defaults, and which of them stream.

It states every field once: the refusal of an unknown field lists all of them, that of a wrong value says what is
expected, and the description of a model made without a field has the default.
"""

import json
import re
import string
from typing import Any, NamedTuple

import lstm
from lstm._arrays import characters
from lstm._handle import Handle
from lstm._library import library, lstm_model
from lstm._saving import adopt
from lstm._spec import encode

# What is said of all layers in README.md.
OF_EVERY_LAYER = {"type", "name", "inputs", "regularizers", "constraints"}
# What to give where a field must be given.
VALUES: dict[str, Any] = {
    "activation": "relu",
    "filters": 4,
    "kernel_size": 2,
    "key_dim": 4,
    "layer": {"type": "lstm", "units": 4},
    "length": 6,
    "n": 3,
    "num_heads": 2,
    "rate": 0.5,
    "stddev": 0.5,
    "target_shape": [-1, 2, 2],
    "units": 4,
    "vocabulary": 9,
}
FEATURES = 4
REQUIRED = object()


class Field(NamedTuple):
    name: str
    kind: str
    default: Any


def build(description: dict[str, Any]) -> Handle:
    return build_text(encode(description))


def build_text(text: bytes) -> Handle:
    """The model of a description as JSON. ValueError: the library's refusal."""
    return Handle(lstm_model, library.lstm_create, library.lstm_free, text, None)


def describe(handle: Any) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(characters(library.lstm_describe, handle)[:-1])
    return described


def refusal(description: dict[str, Any]) -> str:
    try:
        build(description)
    except ValueError as error:
        return str(error)
    return ""


def types() -> list[str]:
    """The types of all layers: of so many the library names those that begin as the wrong one does."""
    found: list[str] = []
    for letter in string.ascii_lowercase:
        expected = re.fullmatch(
            rf'layers\[0\]\.type: expected (.*?)(?:or )?one of (\d+) others, got "{letter}"',
            refusal({"layers": [{"type": letter}]}),
        )
        assert expected, "the refusal of an unknown type has another form"
        names = [name for name in expected[1].split(", ") if name]
        found += names
        total = len(names) + int(expected[2])
    assert len(found) == total, f"{total} types, of which {len(found)} were named"
    return found


def around(layer: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A model in which the layer may stand, and its place in it."""
    kind = layer["type"]
    if kind == "text":
        return {"layers": [layer, {"type": "embedding", "vocabulary": 9, "units": 4}]}, 0
    if kind == "embedding":
        return {"layers": [layer]}, 0
    if kind == "crf":
        scores = {"type": "dense", "units": layer.get("units", 1)}
        return {"input_shape": [None, FEATURES], "layers": [scores, layer]}, 1
    shapes = {"repeat_vector": [FEATURES], "flatten": [6, FEATURES], "group_normalization": [None, 32]}
    shape = shapes.get(kind, [None, FEATURES])
    return {"input_shape": shape, "layers": [layer]}, 0


def minimal(kind: str) -> dict[str, Any]:
    """The layer with nothing but what must be given."""
    layer: dict[str, Any] = {"type": kind}
    while refused := refusal(around(layer)[0]):
        if ".inputs: expected a list of 2 or more" in refused and "inputs" not in layer:
            layer["inputs"] = ["input", "input"]
            continue
        missing = re.fullmatch(r"layers\[\d\]\.(\w+): expected .*, got nothing", refused)
        assert missing and missing[1] not in layer, refused
        layer[missing[1]] = VALUES[missing[1]]
    return layer


def expected(layer: dict[str, Any], field: str) -> str:
    """What the library expects of a field, in its own words."""
    model, place = around(layer)
    for wrong in ({}, []):
        model["layers"][place] = {**layer, field: wrong}
        words = re.fullmatch(rf"layers\[\d\]\.{field}: expected (.*), got an? \w+", refusal(model))
        if words:
            return words[1]
    raise AssertionError(f"{layer['type']}.{field}: neither an object nor a list is refused")


def spoken(words: str) -> str:
    """The same as a page says it: choices as they are written, no limits that only the machine has."""
    limits = re.fullmatch(r"an integer from (-?\d+) to (\d+)", words)
    if limits and int(limits[2]) >= 2**20:
        least = int(limits[1])
        return "an integer" if least < 0 else "a positive integer" if least == 1 else f"an integer of at least {least}"
    if words != "true or false" and re.fullmatch(r"\w+(, \w+)*( or \w+)?", words):
        return re.sub(r"(?!or\b)\b\w+", lambda name: f'`"{name[0]}"`', words)
    return re.sub(r"the \d+ features", "the features", words)


def fields(kind: str) -> list[Field]:
    """The fields of a layer beside those that every layer has."""
    layer = minimal(kind)
    model, place = around({**layer, "?": 0})
    listed = re.fullmatch(rf'layers\[{place}\]: unknown field "\?", expected (.*)', refusal(model))
    assert listed, refusal(model)
    names = [name for name in re.split(", | or ", listed[1]) if name not in OF_EVERY_LAYER]
    described = described_alone(kind)
    activations = spoken(expected(minimal("activation"), "activation"))
    found = []
    for name in names:
        words = spoken(expected(layer, name))
        if words == activations and kind != "activation":
            words = "an [activation](activation.md)"
        found.append(Field(name, words, REQUIRED if name in layer else described.get(name)))
    return found


def described_alone(kind: str) -> dict[str, Any]:
    """The library's description of the layer with nothing but what must be given."""
    model, place = around(minimal(kind))
    described: dict[str, Any] = describe(build(model))["layers"][place]
    return described


def streams(layer: dict[str, Any]) -> bool:
    try:
        adopt(build(around(layer)[0])).stream()
    except lstm.UnsupportedError:
        return False
    return True
