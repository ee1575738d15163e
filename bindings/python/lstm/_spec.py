"""What layers, losses, optimizers and metrics share: they are a type with fields, and become JSON for the C library."""

from __future__ import annotations

import inspect
import json
import operator
from typing import Any, ClassVar

import numpy as np

from .errors import UnsupportedError


class Spec:
    """A type and its fields, which read as attributes and never change. Subclasses list their fields as arguments."""

    type: ClassVar[str]
    _renamed: ClassVar[dict[str, str]] = {}  # arguments that have another name in the description

    def __init__(self, **fields: Any) -> None:
        self.__dict__["_fields"] = fields

    def describe(self) -> Any:
        """The JSON object that the C library reads; fields that are None are left to its defaults."""
        fields = {self._renamed.get(name, name): value for name, value in self._fields.items() if value is not None}
        inner = {name: value.describe() for name, value in fields.items() if isinstance(value, Spec)}
        return {"type": self.type, **fields, **inner}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_fields"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot change: make a new {type(self).__name__}")

    def __repr__(self) -> str:
        """As one would type it: without what is the default."""
        parameters = inspect.signature(type(self)).parameters
        defaults = {name: parameters[name].default if name in parameters else None for name in self._fields}
        shown = [
            _brief(value) if defaults[name] is inspect.Parameter.empty else f"{name}={_brief(value)}"
            for name, value in self._fields.items()
            if value != defaults[name]
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def named(given: Any, aliases: dict[str, str]) -> Any:
    """The JSON of a name, which may be one of Keras's `aliases` in any case, or of a Spec."""
    if isinstance(given, Spec):
        return given.describe()
    return aliases.get(given.lower(), given.lower()) if isinstance(given, str) else given


# Of arguments whose place something else has taken: what that is.
_INSTEAD = {"stateful": "as fit(bptt_steps=), trainer(carry=True) and, to predict, stream() carry states"}


def refuse(function: str, given: dict[str, Any], neutral: dict[str, tuple[Any, ...]]) -> None:
    """Keras's arguments that this library does not have are accepted with the values that change nothing.

    TypeError: an argument that Keras does not have either; UnsupportedError: a value that asks for something.
    """
    for name, value in given.items():
        if name not in neutral:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
        if not (isinstance(value, (str, int, float, list, type(None))) and value in neutral[name]):
            raise UnsupportedError(
                f"{function}: {name} must be {neutral[name][0]!r}, {_INSTEAD.get(name, 'the only value supported')}, "
                f"got {value!r}"
            )


def encode(document: dict[str, Any]) -> bytes:
    """JSON for the C library; numpy's numbers and arrays become Python's. TypeError: what is no JSON."""
    return json.dumps(document, default=_plain, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"expected a name, a number or an object of this package, got {type(value).__name__} {value!r}")


def whole(name: str, value: Any, least: int = 0, most: int = 2**32 - 1) -> int:
    """`value` as an integer from `least` to `most`. TypeError or ValueError name the argument."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__} {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name}: expected an integer from {least} to {most}, got {number}")
    return number


def real(name: str, value: Any) -> float:
    """`value` as a float. TypeError names the argument."""
    if isinstance(value, str):
        raise TypeError(f"{name}: expected a number, got str {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__} {value!r}") from None
