"""From what callers have - arrays of any type and stride, lists, text - to what C reads, and from C's buffers back."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int64, c_size_t, c_uint8, c_void_p, sizeof
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from ._library import (
    LSTM_FLOAT32,
    LSTM_FLOAT64,
    LSTM_INT32,
    LSTM_INT64,
    LSTM_MAX_RANK,
    LSTM_STRING,
    LSTM_UINT8,
    check,
    lstm_array,
)

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): LSTM_FLOAT32,
    np.dtype(np.float64): LSTM_FLOAT64,
    np.dtype(np.int32): LSTM_INT32,
    np.dtype(np.int64): LSTM_INT64,
    np.dtype(np.uint8): LSTM_UINT8,
}

# What C does not read becomes the nearest type that holds every value (of uint64: every index that can be one).
_CONVERSIONS: dict[str, Any] = {
    **dict.fromkeys(("f2", "f4"), np.float32),
    **dict.fromkeys(("f8", "f12", "f16", "u8"), np.float64),
    **dict.fromkeys(("i1", "i2", "i4", "u2"), np.int32),
    **dict.fromkeys(("i8", "u4"), np.int64),
}


class Borrowed:
    """An `lstm_array` together with everything it points to, which lives as long as this object."""

    def __init__(self, name: str, value: Any, lengths: Any = None, mask: Any = None) -> None:
        """`name` is the caller's argument, for errors. TypeError: no numbers or strings; ValueError: a wrong shape.

        A list of sequences of different length is padded with zeros and gets its `lengths`.
        """
        rows = _ragged(value)
        if lengths is not None and (mask is not None or rows is not None):
            raise ValueError(f"{name}: lengths, mask and a list of sequences of different length exclude each other")
        if rows is not None and mask is not None:
            raise ValueError(f"{name}: a list of sequences of different length has its own mask; leave out mask")
        if rows is not None:
            value, lengths = _pad(name, rows)
        array = _readable(name, value)
        if array.ndim > LSTM_MAX_RANK:
            raise ValueError(f"{name}: expected at most {LSTM_MAX_RANK} axes, got shape {array.shape}")
        self.shape: tuple[int, ...] = array.shape
        self.is_text = array.dtype.kind == "O"
        self.array = _addresses(name, array) if self.is_text else array
        self.struct = lstm_array(struct_size=sizeof(lstm_array), rank=array.ndim, data=self.array.ctypes.data)
        self.struct.type = LSTM_STRING if self.is_text else _TYPES[array.dtype]
        self.struct.shape[: array.ndim] = self.array.shape
        self.struct.strides[: array.ndim] = self.array.strides
        if lengths is not None:
            self._lengths = _lengths(lengths, array.shape)
            self.struct.lengths = pointer(self._lengths, c_int64)
        if mask is not None:
            self._mask = _mask(mask, array.shape)
            self.struct.mask = pointer(self._mask, c_uint8)


def outputs(shape: tuple[int, ...], out: Floats | None = None) -> Floats:
    """`out`, which must be an array that C can fill with outputs of that shape, or a new one."""
    if out is None:
        return np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32 or not out.flags.carray:
        raise ValueError(f"out: expected a contiguous float32 array of shape {shape}, got {out.dtype} {out.shape}")
    return out


def optional(name: str, value: Any) -> lstm_array | None:
    """The struct of `value`, or None, which C takes as NULL."""
    if value is None:
        return None
    borrowed = Borrowed(name, value)
    borrowed.struct._owner = borrowed
    return borrowed.struct


def _ragged(value: Any) -> list[Any] | None:
    """The rows of `value` if it is a list of sequences that are not all of one length, else None."""
    if not isinstance(value, (list, tuple)) and not (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
        return None
    if not all(hasattr(row, "__len__") and not isinstance(row, (str, bytes)) for row in value):
        return None
    return list(value) if len({len(row) for row in value}) > 1 else None


def _pad(name: str, rows: list[Any]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Rows [t_i, ...] become [B, max t_i, ...] with zeros behind the end of each, and the lengths t_i."""
    arrays = [_readable(f"{name}[{index}]", row) for index, row in enumerate(rows)]
    step = next(array.shape[1:] for array in arrays if len(array))
    for index, array in enumerate(arrays):
        if len(array) and array.shape[1:] != step:
            raise ValueError(f"{name}[{index}]: expected steps of shape {step} as before, got {array.shape[1:]}")
    lengths = np.array([len(array) for array in arrays], np.int64)
    dtype = np.result_type(*{array.dtype for array in arrays if len(array)})
    padded = np.zeros((len(arrays), lengths.max(), *step), dtype)
    for row, array in zip(padded, arrays):
        if len(array):
            row[: len(array)] = array
    return padded, lengths


def _readable(name: str, value: Any) -> Array:
    """An array of a type that C reads, a view of `value` wherever possible; of objects if it holds text."""
    # numpy would turn the numbers in a list with strings into strings, and pad all to the longest.
    is_texts = isinstance(value, (list, tuple)) and any(isinstance(item, (str, bytes)) for item in value)
    array = np.asarray(value, object if is_texts else None)
    kind = array.dtype.kind
    if array.ndim == 0:
        raise TypeError(f"{name}: expected an array of numbers or strings, got {type(value).__name__}")
    if array.dtype in _TYPES:
        return array
    if kind == "b":
        return array.view(np.uint8)
    if kind in "UST" or is_texts or (kind == "O" and array.size and isinstance(array.flat[0], (str, bytes))):
        return array.astype(object, copy=False)
    try:
        return array.astype(np.float64 if kind == "O" else _CONVERSIONS[f"{kind}{array.itemsize}"])
    except (KeyError, TypeError, ValueError):
        raise TypeError(f"{name}: expected numbers or strings, got elements of type {array.dtype}") from None


def _addresses(name: str, texts: Array) -> npt.NDArray[np.uintp]:
    """Addresses of zero-terminated UTF-8, in the shape of `texts`; the result keeps the bytes alive."""
    encoded = []
    for index, text in enumerate(texts.ravel()):
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"{name}[{index}]: expected a string, got {type(text).__name__} {text!r}")
        data = text.encode() if isinstance(text, str) else text
        if b"\0" in data:
            raise ValueError(f"{name}[{index}]: expected a string without zero characters, got {text!r}")
        encoded.append(data)
    pointers = (c_char_p * max(1, len(encoded)))(*encoded)
    addresses: npt.NDArray[np.uintp] = np.frombuffer(memoryview(pointers).cast("B"), np.uintp, len(encoded))
    return addresses.reshape(texts.shape)


def _lengths(lengths: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got elements of type {array.dtype}")
    if array.shape != shape[:1]:
        raise ValueError(f"lengths: expected shape {shape[:1]}, one for each sequence, got {array.shape}")
    return np.ascontiguousarray(array, np.int64)


def _mask(mask: Any, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"mask: expected true and false, got elements of type {array.dtype}")
    if len(shape) < 2 or array.shape != shape[:2]:
        raise ValueError(f"mask: expected shape {shape[:2]}, one for each timestep, got {array.shape}")
    return np.ascontiguousarray(array if array.dtype.kind == "b" else array != 0).view(np.uint8)


def plain(value: Any) -> Floats:
    """`value` as aligned float32 without gaps, itself if it is that already."""
    return np.require(value, np.float32, ["C", "A"])


def pointer(array: Array, kind: Any = c_float) -> Any:
    """The `kind *` of an array, valid as long as the array; numpy's own `data_as` leaves garbage for the collector."""
    return POINTER(kind).from_buffer(c_void_p(array.ctypes.data))


def floats(function: Callable[..., int], *arguments: Any) -> Floats:
    """What a C function that ends in (float *values, capacity, count) has to give."""
    count = c_size_t()
    check(function(*arguments, None, 0, byref(count)))
    values = np.empty(count.value, np.float32)
    check(function(*arguments, pointer(values), values.size, None))
    return values


def characters(function: Callable[..., int], *arguments: Any) -> bytes:
    """What a C function that ends in (buffer, capacity, count) has to give."""
    count = c_size_t()
    check(function(*arguments, None, 0, byref(count)))
    buffer = ctypes.create_string_buffer(count.value)
    check(function(*arguments, buffer, count.value, None))
    return buffer.raw
