"""Data that come batch by batch: what `fit` and `evaluate` take in place of arrays, as the `lstm_source` of C."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ._arrays import Borrowed
from ._library import LSTM_OK, LSTM_SOURCE_END, lstm_array, lstm_source
from ._spec import whole
from .errors import UnsupportedError

_FAILED = -1


def is_source(x: Any, y: Any) -> bool:
    """Whether `x` gives batches of itself: an iterator, an iterable, or what has a length and items, without `y`."""
    if y is not None or isinstance(x, (np.ndarray, list, tuple, dict, str, bytes)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__len__") and hasattr(x, "__getitem__"))


class Source:
    """Batches (x, y) or (x, y, weights) of a generator, an iterable, or a sequence of them as keras.utils.Sequence.

    A sequence gives its batches in a new order each epoch if `shuffle` is true, drawn from `seed` and the number of
    epochs trained, and is told the end of an epoch by its `on_epoch_end`, if it has that. An iterable begins anew each
    epoch; an iterator goes on, and needs `steps` to know where an epoch ends unless it is the last.
    """

    def __init__(self, name: str, data: Any, steps: int | None, *, shuffle: bool = False, seed: int = 0) -> None:
        self._name, self._data, self._shuffle, self._seed = name, data, shuffle, seed
        self._items = hasattr(data, "__len__") and hasattr(data, "__getitem__")
        self.steps = 0 if steps is None else whole(f"{name}: steps", steps, 1, 2**40)
        if self._items:
            count = whole(f"{name}: len", len(data), 1, 2**40)
            self.steps = min(self.steps or count, count)
        self._iterator: Iterator[Any] | None = iter(data) if not self._items and iter(data) is data else None
        self._order: np.ndarray[Any, Any] | None = None
        self._kept: tuple[Borrowed, ...] = ()
        self._epoch = -1
        self._error: BaseException | None = None
        self.thunk = lstm_source(self._next)

    def first(self) -> Any:
        """The x of the first batch, before any is asked for."""
        if self._items:
            return self._split(self._data[0])[0]
        data: Iterable[Any] = self._data if self._iterator is None else self._iterator
        iterator = iter(data)
        try:
            batch = next(iterator)
        except StopIteration:
            raise ValueError(f"{self._name}: expected at least one batch, got none") from None
        if self._iterator is not None:
            self._iterator = itertools.chain([batch], iterator)
        return self._split(batch)[0]

    def check(self) -> None:
        """Raises what the data raised."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _next(self, epoch: int, batch: int, x: Any, y: Any, weights: Any, _user: Any) -> int:
        try:
            if epoch != self._epoch:
                self._begin(epoch, batch)
            given = self._batch(batch)
            names = ("x", "y", "sample_weight")
            self._kept = tuple(
                Borrowed(f"{self._name}: {name}", array) for name, array in zip(names, given) if array is not None
            )
            for borrowed, place in zip(self._kept, (x, y, weights)):
                ctypes.memmove(place, ctypes.byref(borrowed.struct), ctypes.sizeof(lstm_array))
            return LSTM_OK
        except (StopIteration, IndexError) as end:
            if isinstance(end, IndexError) and self.steps:
                self._error = end
                return _FAILED
            return LSTM_SOURCE_END
        except BaseException as error:
            self._error = error
            return _FAILED

    def _begin(self, epoch: int, batch: int) -> None:
        """Begins an epoch, perhaps in its middle."""
        if self._items:
            if self._epoch >= 0 and hasattr(self._data, "on_epoch_end"):
                self._data.on_epoch_end()
            order = np.arange(len(self._data))
            self._order = np.random.default_rng([self._seed, epoch]).permutation(order) if self._shuffle else order
        elif self._iterator is None or self._epoch < 0:
            self._running = iter(self._data) if self._iterator is None else self._iterator
            for _ in range(batch):
                next(self._running)
        self._epoch = epoch

    def _batch(self, batch: int) -> tuple[Any, ...]:
        if self._order is not None:
            return self._split(self._data[int(self._order[batch])])
        return self._split(next(self._running))

    def _split(self, batch: Any) -> tuple[Any, ...]:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(f"{self._name}: expected batches (x, y) or (x, y, weights), got {type(batch).__name__}")
        return tuple(batch)


def refuse_with_source(function: str, **arguments: Any) -> None:
    """UnsupportedError: an argument that arrays take and batches do not."""
    for name, value in arguments.items():
        if value is not None and not (isinstance(value, (int, float)) and value == 0):
            raise UnsupportedError(f"{function}: {name} goes with arrays, not with batches of a generator or sequence")
