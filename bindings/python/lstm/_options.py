"""How to run: the arguments of `fit`, `evaluate` and `predict` as the `lstm_options` of C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_double, sizeof
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from ._arrays import Borrowed, optional, pointer
from ._library import check, library, lstm_options
from ._many import Data
from ._spec import real, whole
from .callbacks import Callback, EarlyStopping, ReduceLROnPlateau, monitor_mode
from .errors import UnsupportedError

_MOST_CLASSES = 2**20


class Options:
    """An `lstm_options` with C's defaults, together with everything it points to."""

    def __init__(self, batch_size: int | None = None, threads: int = 0) -> None:
        self.struct = lstm_options()
        self._kept: list[Any] = []
        check(library.lstm_options_init(self.struct, sizeof(self.struct)))
        if batch_size is not None:
            self.struct.batch_size = whole("batch_size", batch_size, 1)
        self.struct.threads = whole("threads", threads)

    def shuffle(self, shuffle: bool) -> None:
        """TypeError: neither true nor false, as Keras's "batch"."""
        if not isinstance(shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle: expected True or False, got {type(shuffle).__name__} {shuffle!r}")
        self.struct.shuffle = bool(shuffle)

    def validate(
        self,
        split: float,
        data: Sequence[Any] | None,
        lengths: Any,
        mask: Any,
        gather: Callable[..., Data] | None = None,
    ) -> None:
        """Validates on the last fraction, or on `data` (x, y[, sample weights]), with the lengths or mask of its x.

        `gather` makes the data of a model with several inputs or outputs.
        """
        self.struct.validation_split = real("validation_split", split)
        if data is None:
            if lengths is not None or mask is not None:
                raise ValueError("validation_lengths and validation_mask belong to validation_data, which is not given")
            return
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(f"validation_data: expected (x, y) or (x, y, weights), got {type(data).__name__}")
        if gather is not None:
            several = gather(*data, *[None] * (3 - len(data)), lengths, mask)
            self.struct.validation = ctypes.pointer(several.struct)
            self._kept.append(several)
            return
        x, y = Borrowed("validation_data[0]", data[0], lengths, mask), Borrowed("validation_data[1]", data[1])
        self.struct.validation_x, self.struct.validation_y = ctypes.pointer(x.struct), ctypes.pointer(y.struct)
        self._kept += [x, y]
        weights = optional("validation_data[2]", data[2] if len(data) == 3 else None)
        if weights is not None:
            self.struct.validation_weights = ctypes.pointer(weights)
            self._kept.append(weights)

    def weigh(self, sample_weight: Any, class_weight: Any = None, y: Borrowed | None = None) -> None:
        """Weights of the samples, and of the classes in `y`."""
        weights = optional("sample_weight", sample_weight)
        if weights is not None:
            self.struct.sample_weights = ctypes.pointer(weights)
        if class_weight is not None and y is not None:
            table = class_weights(class_weight, y)
            self.struct.class_weights, self.struct.class_count = pointer(table, c_double), table.size
            self._kept.append(table)

    def stop_early(self, callbacks: Sequence[Callback], first_epoch: int) -> None:
        """What an EarlyStopping callback asks for. UnsupportedError: more than one of them."""
        found = [callback for callback in callbacks if isinstance(callback, EarlyStopping)]
        if len(found) > 1:
            raise UnsupportedError(f"callbacks: expected one EarlyStopping at most, got {len(found)}")
        for callback in found:
            self.struct.early_stopping = 1
            self.struct.monitor = callback.monitor.encode()
            self.struct.monitor_mode = monitor_mode(callback.mode)
            self.struct.min_delta = callback.min_delta
            self.struct.patience = callback.patience
            self.struct.start_from_epoch = max(0, callback.start_from_epoch - first_epoch)
            self.struct.restore_best = bool(callback.restore_best_weights)

    def reduce_on_plateau(self, callbacks: Sequence[Callback]) -> None:
        """What a ReduceLROnPlateau callback asks for. UnsupportedError: more than one of them."""
        found = [callback for callback in callbacks if isinstance(callback, ReduceLROnPlateau)]
        if len(found) > 1:
            raise UnsupportedError(f"callbacks: expected one ReduceLROnPlateau at most, got {len(found)}")
        for callback in found:
            self.struct.reduce_on_plateau = 1
            self.struct.plateau_monitor = callback.monitor.encode()
            self.struct.plateau_mode = monitor_mode(callback.mode)
            self.struct.plateau_factor = callback.factor
            self.struct.plateau_patience = callback.patience
            self.struct.plateau_cooldown = callback.cooldown
            self.struct.plateau_min_delta = callback.min_delta
            self.struct.plateau_min_rate = callback.min_lr


def class_weights(weights: Any, y: Borrowed) -> npt.NDArray[np.float64]:
    """Keras's {class: weight} as an array up to the last class in `weights` or `y`; 1 where none is given."""
    if not isinstance(weights, dict):
        raise TypeError(f"class_weight: expected a dict of class: weight, got {type(weights).__name__} {weights!r}")
    last = max((whole("class_weight", label, 0, _MOST_CLASSES) for label in weights), default=0)
    if len(y.shape) > 1:  # perhaps one place for each class
        last = max(last, y.shape[-1] - 1)
    if y.array.size and not y.is_text:
        last = max(last, int(np.clip(np.nan_to_num(y.array.max()), 0, _MOST_CLASSES)))
    result = np.ones(last + 1)
    for label, weight in weights.items():
        result[label] = real(f"class_weight[{label}]", weight)
    return result
