"""Labels of outputs for each timestep."""

from __future__ import annotations

import math
from ctypes import byref, c_double, c_int64, c_size_t, sizeof
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from ._arrays import Borrowed, pointer
from ._library import check, library, lstm_decoding
from ._spec import whole

Labels = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def ctc_decode(
    outputs: Any,
    sequence_lengths: Any = None,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    *,
    mask_index: int = 0,
    from_logits: bool = True,
    mask: Any = None,
) -> Labels:
    """The labels in outputs [B, T, classes] of connectionist temporal classification: (labels, log-probabilities).

    As keras.ops.ctc_decode: labels [top_paths, B, T] with -1 behind the last, log-probabilities [B, top_paths].
    `strategy` is "greedy", the most probable path, or "beam_search", the labels whose paths are the most probable
    together, of which `beam_width` prefixes are kept at each step and the `top_paths` best returned. `outputs` are
    logits, or probabilities without `from_logits`; `mask_index` is the blank. Sequences of different length:
    `sequence_lengths` [B], or `mask` [B, T], or a list of arrays.
    """
    xs = Borrowed("outputs", outputs, sequence_lengths, mask)
    settings = _decoding(strategy, beam_width, top_paths, mask_index, not from_logits)
    return decoded(library.lstm_ctc_decode, (xs.struct, settings), xs.shape[0], settings.best)


def of_model(handle: Any, x: Borrowed, strategy: str, beam_width: int, top_paths: int, mask_index: int) -> Labels:
    """The same of a model's outputs, which are logits unless it ends in a softmax."""
    settings = _decoding(strategy, beam_width, top_paths, mask_index, False)
    return decoded(library.lstm_decode, (handle, x.struct, settings), x.shape[0], settings.best)


def _decoding(strategy: str, beam_width: int, best: int, blank: int, probabilities: bool) -> lstm_decoding:
    if strategy not in ("greedy", "beam_search"):
        raise ValueError(f"strategy: expected 'greedy' or 'beam_search', got {strategy!r}")
    settings = lstm_decoding()
    check(library.lstm_decoding_init(settings, sizeof(settings)))
    settings.beam_width = whole("beam_width", beam_width, 1) if strategy == "beam_search" else 0
    settings.best = whole("top_paths", best, 1)
    settings.blank = whole("mask_index", blank)
    settings.probabilities = probabilities
    return settings


def decoded(function: Callable[..., int], arguments: tuple[Any, ...], rows: int, best: int) -> Labels:
    """What lstm_ctc_decode or lstm_decode gives, in Keras's order of axes."""
    count = c_size_t()
    check(function(*arguments, None, 0, byref(count), None, 0))
    labels = np.empty(count.value, np.int64)
    logarithms = np.empty((rows, best), np.float64)
    room = pointer(labels, c_int64), labels.size, None, pointer(logarithms, c_double), logarithms.size
    check(function(*arguments, *room))
    steps = count.value // max(1, math.prod(logarithms.shape))
    return labels.reshape(rows, best, steps).swapaxes(0, 1), logarithms
