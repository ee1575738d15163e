#!/usr/bin/env python3
"""Writes json_cases.json: texts, and what Python's json module reads from each, or null where it (or the format of a
description, which is stricter) refuses it. Texts are hexadecimal, values in a form of their own (`canonical`).

    python3 make_json_cases.py
"""

import json
import random
import struct
from pathlib import Path

NUMBERS = [
    "0",
    "-0",
    "1",
    "-17",
    "0.5",
    "-12.25e2",
    "1E+3",
    "1e-7",
    "3.141592653589793",
    "0.1",
    "2e308",
    "1e400",
    "9007199254740993",
    "123456789012345678901234567890",
    "1.7976931348623157e308",
    "5e-324",
    "1e-400",
    "0.30000000000000004",
    "17976931348623157" + "0" * 292,
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "-",
    "0x1",
    "1_0",
    "NaN",
    "Infinity",
    "-Infinity",
]
STRINGS = [
    "",
    "a",
    "ä€😀",
    "\\n\\t\\r\\b\\f",
    '\\"\\\\\\/',
    "\\u0041\\u00e4\\u20ac",
    "\\ud83d\\ude00",
    "\\uD83D\\uDE00",
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\\ud83dx",
    "\\ud83d\\n",
    "\\ud83d\\u0041",
    "\\x41",
    "\\u12",
    "\\u00g0",
    "\n",
    "\t",
    "\x1f",
    "\x7f",
    "\u2028",
    "\\",
    "\\u",
]
WORDS = ["null", "true", "false", "True", "nul", "nulll", "undefined", ""]
SPACES = ["", "", "", " ", "\n", "\t", "\r", " \n ", "\v", "\u00a0"]


def text(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return rng.choice(WORDS[:3] + NUMBERS[:16] + [f'"{s}"' for s in STRINGS[:8]])

    def space() -> str:
        return rng.choice(SPACES[:8]) if rng.random() < 0.3 else ""

    children = [text(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind < 0.6:
        return "[" + ",".join(space() + c + space() for c in children) + "]"
    keys = rng.sample(["a", "b", "ä", "type", "", "a\\u0062", "ab"], len(children))
    return "{" + ",".join(f'{space()}"{k}"{space()}:{space()}{c}' for k, c in zip(keys, children)) + space() + "}"


def damaged(rng: random.Random, whole: str) -> str:
    place = rng.randrange(len(whole) + 1)
    return whole[:place] + rng.choice(["", *'{}[],:"\\0.e-n ']) + whole[place + rng.randrange(2) :]


def members(pairs: list) -> dict:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def constant(name: str):
    raise ValueError(name)


def canonical(value) -> str:
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int | float):
        number = float(value) + 0.0
        if number in (float("inf"), -float("inf")):
            raise ValueError("beyond float64")
        return "#" + struct.pack(">d", number).hex()
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a zero byte")
        return "s" + value.encode().hex()
    if isinstance(value, list):
        return "[" + "".join(map(canonical, value)) + "]"
    return "{" + "".join(canonical(k) + canonical(v) for k, v in value.items()) + "}"


def read(document: str) -> str | None:
    try:
        return canonical(json.loads(document, object_pairs_hook=members, parse_constant=constant))
    except (ValueError, OverflowError):
        return None


def main() -> None:
    rng = random.Random(1)
    texts = NUMBERS + [f"[{n}]" for n in NUMBERS] + [f'"{s}"' for s in STRINGS] + WORDS + [s + "1" + s for s in SPACES]
    texts += [
        '{"a": 1, "a": 2}',
        '{"ab": 1, "a\\u0062": 2}',
        "[1,]",
        "[,]",
        "{,}",
        '{"a"}',
        '{"a":}',
        "{1: 2}",
        "[",
        "{",
        '"',
        "[1",
        '{"a": 1',
        "[1 2]",
        "1 2",
        "[]]",
        "\ufeff1",
    ]
    good = [text(rng, 4) for _ in range(150)]
    texts += good + [damaged(rng, rng.choice(good)) for _ in range(500)]
    cases = [[t.encode().hex(), read(t)] for t in dict.fromkeys(texts)]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (Path(__file__).parent / "json_cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
