"""Reads include/lstm.h, so that every test covers every function, struct and macro of it and none is forgotten."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parameter:
    type: str  # normalised: one space between words, one before the stars, as "const lstm_model *"
    name: str


@dataclass(frozen=True)
class Function:
    name: str
    returns: str
    parameters: tuple[Parameter, ...]
    checked: bool  # marked LSTM_CHECK: ignoring the result is a warning


@dataclass(frozen=True)
class Field:
    type: str  # "function" for a pointer to a function
    name: str
    length: str  # of an array, as written, "" if it is none


@dataclass(frozen=True)
class Struct:
    name: str
    fields: tuple[Field, ...]  # empty for an opaque type


@dataclass(frozen=True)
class Header:
    functions: dict[str, Function]
    structs: dict[str, Struct]
    callbacks: tuple[str, ...]
    macros: dict[str, str]  # value as written, without comment
    example: str


def read(path: Path) -> Header:
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    macros = dict(re.findall(r"^#define (LSTM_\w+)[ \t]+(\S.*?)[ \t]*$", code, flags=re.MULTILINE))
    macros.pop("LSTM_CHECK", None)
    declarations = _declarations(re.sub(r"^#.*$", "", code, flags=re.MULTILINE))
    functions, structs, callbacks = {}, {}, []
    for declaration in declarations:
        if match := re.fullmatch(r"typedef struct (\w+)(?: \{(.*)\})? (\w+)", declaration):
            structs[match[3]] = Struct(match[3], _fields(match[2] or ""))
        elif match := re.fullmatch(r"typedef \w[\w ]* \**\(\*(\w+)\)\(.*\)", declaration):
            callbacks.append(match[1])
        else:
            function = _function(declaration)
            functions[function.name] = function
    return Header(functions, structs, tuple(callbacks), macros, _example(text))


def _declarations(code: str) -> list[str]:
    """The text split at the semicolons that stand outside braces, white space made single."""
    code = re.sub(r'extern "C" \{', " ", code).rstrip()
    code = code[:-1] if code.endswith("}") else code
    parts, depth, start = [], 0, 0
    for index, character in enumerate(code):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == ";" and depth == 0:
            parts.append(re.sub(r"\s+", " ", code[start:index]).strip())
            start = index + 1
    return parts


def _function(declaration: str) -> Function:
    match = re.fullmatch(r"(LSTM_CHECK )?(\w[\w *]*?)(lstm_\w+)\((.*)\)", declaration)
    if not match:
        raise ValueError(f"lstm.h: cannot read the declaration {declaration!r}")
    texts = [] if match[4] == "void" else match[4].split(",")
    return Function(match[3], _type(match[2]), tuple(map(_parameter, texts)), bool(match[1]))


def _parameter(text: str) -> Parameter:
    match = re.fullmatch(r"\s*(.*?)(\w+)\s*", text)
    return Parameter(_type(match[1]), match[2])


def _fields(body: str) -> tuple[Field, ...]:
    fields = []
    for text in filter(None, map(str.strip, body.split(";"))):
        if match := re.fullmatch(r".*\(\*(\w+)\)\(.*\)", text):
            fields.append(Field("function", match[1], ""))
        else:
            match = re.fullmatch(r"(.*?)(\w+)(?:\[(\w+)\])?", text)
            fields.append(Field(_type(match[1]), match[2], match[3] or ""))
    return tuple(fields)


def _type(text: str) -> str:
    words = re.findall(r"\w+|\*", text)
    return re.sub(r"\* (?=\*)", "*", " ".join(words))


def _example(text: str) -> str:
    """The program in the opening comment, from its first #include on."""
    comment = text[: text.index("*/")]
    lines = [re.sub(r"^ \* {0,3}", "", line) for line in comment.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("#include"))
    return "\n".join(lines[start:]).rstrip() + "\n"
