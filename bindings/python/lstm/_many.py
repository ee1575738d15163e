"""Data of models with several inputs or outputs: lists, or dicts by name, of arrays, as the `lstm_data` of C."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, byref, c_int64, c_uint32, sizeof
from typing import Any, Callable, NamedTuple, Union

from ._arrays import Borrowed, Floats, outputs, pointer
from ._handle import Handle
from ._library import LSTM_MAX_RANK, check, library, lstm_array, lstm_data
from .errors import UnsupportedError

# What a model gives: an array, or of several outputs a list of them, or a dict where they were named by one.
Outputs = Union[Floats, list[Floats], dict[str, Floats]]


class Ports(NamedTuple):
    """The names of a model's inputs and outputs, in their order, and the keys by which the caller knows them."""

    inputs: list[str]
    outputs: list[str]
    # None: they were given in a list.
    input_keys: list[str] | None = None
    output_keys: list[str] | None = None

    def per_output(self, argument: str, given: Any, describe: Callable[[Any], Any] = lambda one: one) -> Any:
        """A list or dict with something for each output as a dict of their names, described; else one for all."""
        if isinstance(given, (list, tuple)) or (isinstance(given, Mapping) and not isinstance(given.get("type"), str)):
            values = spread(argument, given, self.outputs, self.output_keys, optional=True)
            return {name: describe(value) for name, value in zip(self.outputs, values) if value is not None}
        return None if given is None else describe(given)

    def results(self, arrays: list[Floats]) -> Outputs:
        """The outputs in the structure in which the caller gave them to the model."""
        if self.output_keys is not None:
            return dict(zip(self.output_keys, arrays))
        return arrays if len(arrays) > 1 else arrays[0]


def spread(
    argument: str, given: Any, names: Sequence[str], keys: Sequence[str] | None = None, *, optional: bool = False
) -> list[Any]:
    """A value for each name, of a list in their order or a dict by their names or keys; of one name also a value alone.

    `optional`: any may be None, or not in the dict. TypeError: neither; ValueError: too few, too many or unknown ones.
    """
    if isinstance(given, Mapping):
        unknown = set(given) - set(names) - set(keys or ())
        if unknown:
            raise ValueError(f"{argument}: expected the names {', '.join(keys or names)}, got {sorted(unknown)}")
        values = [given.get(name, given.get(key)) for name, key in zip(names, keys or names)]
    elif isinstance(given, (list, tuple)) and (len(names) > 1 or (len(given) == 1 and hasattr(given[0], "__len__"))):
        values = list(given)
    elif len(names) == 1:
        values = [given]
    else:
        expected = f"a list of {len(names)}, or a dict with {', '.join(names)}"
        raise TypeError(f"{argument}: expected {expected}, got {type(given).__name__}")
    if len(values) != len(names):
        raise ValueError(f"{argument}: expected {len(names)}, {', '.join(names)}, got {len(values)}")
    if not optional:
        for name, value in zip(names, values):
            if value is None:
                raise ValueError(f"{argument}: expected data for {name!r}, got none")
    return values


class Data:
    """An `lstm_data` with everything it points to."""

    def __init__(
        self, ports: Ports, x: Any, y: Any = None, weights: Any = None, lengths: Any = None, mask: Any = None
    ) -> None:
        """`weights` may be one array for all outputs; `lengths` and `mask` are None or have an entry for each input."""
        names = ports.inputs
        nothing = [None] * len(names)
        masks = nothing if mask is None else spread("mask", mask, names, ports.input_keys, optional=True)
        ends = nothing if lengths is None else spread("lengths", lengths, names, ports.input_keys, optional=True)
        self._xs = [
            Borrowed(f"x[{name!r}]", value, one_end, one_mask)
            for name, value, one_end, one_mask in zip(names, spread("x", x, names, ports.input_keys), ends, masks)
        ]
        self.rows = self._xs[0].shape[0]
        self.struct = lstm_data(struct_size=sizeof(lstm_data), inputs=len(names))
        self.struct.x = self._xs_pointers = _pointers(self._xs)
        if y is None:
            return
        names = ports.outputs
        self._ys = [
            Borrowed(f"y[{name!r}]", value) for name, value in zip(names, spread("y", y, names, ports.output_keys))
        ]
        self.struct.outputs = len(names)
        self.struct.y = self._ys_pointers = _pointers(self._ys)
        if weights is None:
            return
        if isinstance(weights, (list, tuple, Mapping)):
            weights = spread("sample_weight", weights, names, ports.output_keys, optional=True)
        else:
            weights = [weights] * len(names)
        self._weights = [None if one is None else Borrowed("sample_weight", one) for one in weights]
        self.struct.weights = self._weights_pointers = _pointers(self._weights)

    def shapes(self, ports: Ports, model: Handle) -> list[tuple[int, ...]]:
        """Those of the model's outputs."""
        found = []
        for output in range(len(ports.outputs)):
            shape, rank = (c_int64 * LSTM_MAX_RANK)(), c_uint32()
            check(library.lstm_output_shape_many(model, self.struct, output, shape, byref(rank)))
            found.append(tuple(shape[: rank.value]))
        return found

    def predict(self, ports: Ports, model: Handle, function: Any, *arguments: Any) -> list[Floats]:
        """What a C function that ends in (data, ..., y, capacity, count) makes of this, an array for each output."""
        shapes = self.shapes(ports, model)
        sizes = [_product(shape) for shape in shapes]
        y = outputs((sum(sizes),))
        check(function(arguments[0], self.struct, *arguments[1:], pointer(y), y.size, None))
        arrays, place = [], 0
        for shape, size in zip(shapes, sizes):
            arrays.append(y[place : place + size].reshape(shape))
            place += size
        return arrays


def _product(shape: Sequence[int]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product


def _pointers(arrays: Sequence[Borrowed | None]) -> Any:
    kind = POINTER(lstm_array)
    return (kind * len(arrays))(*(kind() if one is None else ctypes.pointer(one.struct) for one in arrays))


def refuse_several(ports: Ports | None, function: str) -> None:
    """UnsupportedError: the model has several inputs or outputs."""
    if ports is not None:
        given = f"{len(ports.inputs)} and {len(ports.outputs)}"
        raise UnsupportedError(f"{function}: expected a model of one input and one output, got {given}")
