"""How the tests of errors say what they expect: "layers[0].units -4" or "ARG|NOMEM: layers[0]".

Before the colon the codes that are right, LSTM_ERR_ARG when there is none; after it words that must stand in the text,
in any order, each whole; "a|b" is one of several.
"""

import re

import binding
import pytest

OK, STOPPED = 0, 1
CODES = {"ARG": -1, "TYPE": -2, "NOMEM": -3, "IO": -4, "FORMAT": -5, "VERSION": -6, "DIVERGED": -7, "UNSUPPORTED": -8}
CODES["SOURCE"] = -10

NUMBERS = (
    "{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 4},"
    " {'type': 'dense', 'name': 'last', 'units': 2}], 'training': {'loss': 'mse', 'optimizer': 'sgd'}}"
)


def parse(expected: str) -> tuple[set[int], list[str]]:
    codes, _, words = expected.rpartition(":")
    return {CODES[code] for code in (codes or "ARG").split("|")}, words.split()


def check(error: binding.LSTMError, expected: str) -> None:
    codes, words = parse(expected)
    assert error.code in codes, error
    assert 0 < len(error.text.encode()) <= 511
    for unwanted in ["cannot print value", "Optional(", "LSTMError", "\n"]:
        assert unwanted not in error.text
    for word in words:
        choices = "|".join(map(re.escape, word.split("|")))
        assert re.search(rf"(?<!\w)(?:{choices})(?!\w)", error.text, re.IGNORECASE), f"no {word!r} in: {error.text}"


def refused(act, expected: str) -> None:
    with pytest.raises(binding.LSTMError) as raised:
        act()
    check(raised.value, expected)
