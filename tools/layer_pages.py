"""Holds the pages of docs/layers to the library.

    PYTHONPATH=bindings/python python tools/layer_pages.py [--write]

Tells what is wrong, a line each, and ends with 1 if anything is; --write first writes the tables of fields anew, with
what the library says of types and defaults (`layer_fields`). The last column is written by hand and kept. A default
that follows from other fields stands in backticks as `units / heads`, and so does a limit: an integer from 1 to
`units`. Examples in JSON, C and Python are built and asked for a prediction, and an example in Python must describe the
same model as one of the others.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from layer_fields import (
    FEATURES,
    REQUIRED,
    Field,
    around,
    build,
    build_text,
    describe,
    described_alone,
    fields,
    minimal,
    streams,
    types,
)

import lstm
from lstm import layers
from lstm._saving import adopt

FOLDER = Path(__file__).resolve().parent.parent / "docs/layers"
HEADER = "| field | type | default | |\n|---|---|---|---|\n"
ROW = re.compile(r"^\| `(\w+)` \| *(.*?) *\| *(.*?) *\| *(.*?) *\|\n", re.MULTILINE)
INDEX_ROW = re.compile(r"^\| \[(\w+)\]\((\w+)\.md\) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def shown(default: Any) -> str:
    if default is REQUIRED:
        return ""
    text = json.dumps(default)
    return f"`{text}`" if isinstance(default, str) else re.sub(r"e-0(\d)", r"e-\1", text)


def is_said(cell: str, field: Field, values: dict[str, Any]) -> bool:
    """Whether a cell says the field's default, perhaps as an expression of other fields."""
    if cell == shown(field.default):
        return True
    formula = re.fullmatch(r"`([\w /]+)`", cell)
    return bool(formula) and evaluate(formula[1], {**values, "features": FEATURES}) == field.default


def evaluate(formula: str, values: dict[str, Any]) -> Any:
    """A name, or one divided by another."""
    first, *others = (values.get(name) for name in formula.split(" / "))
    for other in others:
        first = first // other if first is not None and other else None
    return first


def is_kind(cell: str, field: Field, values: dict[str, Any]) -> bool:
    """Whether a cell says what the field takes, perhaps with other fields as limits."""
    return cell == field.kind or re.sub(r"`(\w+)`", lambda name: str(values.get(name[1])), cell) == field.kind


def rows(text: str) -> list[tuple[str, str, str, str]]:
    start = text.find(HEADER)
    return [] if start < 0 else ROW.findall(text[start : text.index("\n\n", start) + 1])


def table_faults(text: str, own: list[Field], values: dict[str, Any]) -> list[str]:
    found = rows(text)
    names = [row[0] for row in found]
    faults = [f"no row for {field.name}" for field in own if field.name not in names]
    by_name = {field.name: field for field in own}
    for name, kind, default, meaning in found:
        field = by_name.get(name)
        if field is None or names.count(name) > 1:
            faults.append(f"{name}: no such field, or twice")
            continue
        if not is_kind(kind, field, values):
            faults.append(f"{name}: the library expects {field.kind}, the page says {kind}")
        if not is_said(default, field, values):
            faults.append(f"{name}: the default is {shown(field.default) or 'none'}, the page says {default or 'none'}")
        if not meaning:
            faults.append(f"{name}: nothing is said of it")
    return faults


def written(text: str, own: list[Field], values: dict[str, Any]) -> str:
    """The page with a table of what the library says, in the order that it has, new fields last."""
    old = {name: (kind, default, meaning) for name, kind, default, meaning in rows(text)}
    order = [*old, *(field.name for field in own)]
    table = HEADER
    for field in sorted(own, key=lambda field: order.index(field.name)):
        kind, default, meaning = old.get(field.name, ("", "", ""))
        kind = kind if is_kind(kind, field, values) else field.kind
        default = default if default and is_said(default, field, values) else shown(field.default)
        table += f"| `{field.name}` | {kind} | {default} | {meaning} |\n".replace("|  |", "| |")
    start = text.find(HEADER)
    if start < 0:
        return f"{text}\n{table}" if own else text
    return text[:start] + table + text[text.index("\n\n", start) + 1 :]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def of_c(snippet: str) -> str:
    """The description in a call of lstm_create."""
    return "".join(re.findall(r'"([^"]*)"', snippet))


def of_python(snippet: str) -> Any:
    """The model that a snippet makes: `model`, or what its last line is."""
    names = {name: getattr(layers, name) for name in layers.__all__}
    names |= {"Model": lstm.Model, "Sequential": lstm.Sequential}
    tree = ast.parse(snippet)
    if isinstance(tree.body[-1], ast.Expr):
        target = ast.Assign([ast.Name("model", ast.Store())], tree.body[-1].value)
        tree.body[-1] = ast.copy_location(target, tree.body[-1])
    exec(compile(ast.fix_missing_locations(tree), "example", "exec"), names)
    return names["model"]


def predict(model: Any) -> None:
    """Asks a model for something, whatever it reads."""
    random = np.random.default_rng(1)
    first = describe(model.handle)["layers"][0]
    if first["type"] == "text":
        texts = ["a warm film", "dull, and far too long"]
        model.adapt(texts)
        answer = model.predict(texts)
    elif first["type"] == "embedding":
        answer = model.predict(random.integers(1, first["vocabulary"], (2, 12)))
    else:
        answer = model.predict(random.normal(size=(2, *(extent or 12 for extent in model._input_shape))))
    assert len(answer) == 2 and np.isfinite(answer).all()


def structure(description: dict[str, Any]) -> Any:
    """What a model is but for the names in it."""
    names = {"input": -1}
    made = []
    for place, layer in enumerate(description["layers"]):
        sources = [(names[name], state) for name, _, state in (one.partition(".") for one in layer.get("inputs", []))]
        names[layer["name"]] = place
        made.append({**layer, "inputs": sources or [(place - 1, "")], "name": None})
    return description.get("input_shape"), made


def example_faults(text: str, kind: str) -> list[str]:
    faults, described = [], []
    texts = blocks(text, "json") + [of_c(snippet) for snippet in blocks(text, "c")]
    snippets = blocks(text, "python")
    if not texts or not snippets:
        faults.append("no example in JSON or C, or none in Python")
    for example in texts:
        try:
            model = adopt(build_text(example.encode()))
            described.append(describe(model.handle))
            predict(model)
        except Exception as error:
            faults.append(f"{example.strip()}: {error}")
    for snippet in snippets:
        try:
            model = of_python(snippet)
            own = describe(model.handle)
            predict(model)
        except Exception as error:
            faults.append(f"{snippet.strip()}: {error}")
            continue
        if structure(own) not in map(structure, described):
            faults.append(f"{snippet.strip()}: the page has no such model in JSON or C")
        if not any(kind in (layer["type"], layer.get("layer", {}).get("type")) for layer in own["layers"]):
            faults.append(f"{snippet.strip()}: there is no {kind} in it")
    return faults


def parameter_faults(text: str, kind: str) -> list[str]:
    """Parameters that the page does not name."""
    model, place = around(minimal(kind))
    own = describe(build(model))["layers"][place]["name"]
    names = [name.rpartition(".") for name in adopt(build(model)).weight_shapes]
    missing = [name for layer, _, name in names if layer == own and f"`{name}`" not in text]
    return [f"the parameter {name} is not named" for name in missing]


def page_faults(kind: str, text: str) -> list[str]:
    """What is wrong with the page of a layer."""
    own, values = fields(kind), described_alone(kind)
    faults = [] if text.startswith(f"# {kind}\n") else [f"the title is not {kind}"]
    if "\nSource: " not in text:
        faults.append("no source")
    return faults + table_faults(text, own, values) + parameter_faults(text, kind) + example_faults(text, kind)


def index_faults(text: str, kinds: list[str]) -> list[str]:
    """What is wrong with README.md: a row for each type, and what it says of streams."""
    found = {name: cell for name, page, _, cell in INDEX_ROW.findall(text) if name == page}
    faults = [f"no row for {kind}" for kind in kinds if kind not in found]
    faults += [f"{name}: no such layer" for name in found if name not in kinds]
    for kind in set(kinds) & set(found):
        layer, says = minimal(kind), found[kind]
        wanted = re.fullmatch(r"(yes|no)(?:,.*)?|with `(.*)`", says)
        if not wanted:
            faults.append(f"{kind}: streams must be yes, no or with `...`, not {says}")
        elif streams(layer) != (wanted[1] == "yes"):
            faults.append(f"{kind}: a stream of it {'is' if streams(layer) else 'is not'} possible")
        elif wanted[2] and not streams({**layer, **json.loads("{" + wanted[2] + "}")}):
            faults.append(f"{kind}: no stream with {wanted[2]}")
    return faults


def main() -> int:
    kinds, wrong = types(), 0
    for kind in kinds:
        path = FOLDER / f"{kind}.md"
        text = path.read_text() if path.exists() else ""
        if "--write" in sys.argv[1:] and text:
            text = written(text, fields(kind), described_alone(kind))
            path.write_text(text)
        for fault in page_faults(kind, text) if text else ["no such page"]:
            print(f"docs/layers/{kind}.md: {fault}")
            wrong += 1
    for path in sorted(FOLDER.glob("*.md")):
        if path.stem not in (*kinds, "README"):
            print(f"docs/layers/{path.name}: there is no such layer")
            wrong += 1
    for fault in index_faults((FOLDER / "README.md").read_text(), kinds):
        print(f"docs/layers/README.md: {fault}")
        wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
