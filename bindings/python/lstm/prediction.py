"""`Predictor`, for those who predict many small batches."""

from __future__ import annotations

from ctypes import byref, c_int64, c_uint32
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import Borrowed, Floats, outputs, pointer
from ._handle import Handle
from ._library import LSTM_MAX_RANK, check, library, lstm_predictor
from ._many import Data
from ._spec import whole

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Predictor"]


def output_shape(model: Handle, x: Borrowed) -> tuple[int, ...]:
    """The shape of a model's outputs for x."""
    shape, rank = (c_int64 * LSTM_MAX_RANK)(), c_uint32()
    check(library.lstm_output_shape(model, x.struct, shape, byref(rank)))
    return tuple(shape[: rank.value])


class Predictor:
    """`predict` for many small batches: working memory and threads are kept between calls, and so are the bits.

    A predictor belongs to one thread at a time; many predictors may share a model. It sees the model's weights as they
    are at each call. Also a context manager.
    """

    def __init__(self, model: Model, threads: int = 0) -> None:
        """`threads` work at once, at most 1024, 0 as many as help. ValueError: the model is not built."""
        self._model, self._ports = model.handle, model._ports
        arguments = (self._model, whole("threads", threads))
        self._handle = Handle(lstm_predictor, library.lstm_predictor_create, library.lstm_predictor_free, *arguments)
        self._last: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def run(self, x: Any, out: Floats | None = None, *, lengths: Any = None, mask: Any = None) -> Any:
        """The outputs for all samples of x, all as in `predict`, written to `out` if given.

        ValueError: x or out of another shape, or out for a model with several inputs or outputs.
        """
        if self._ports is not None:
            if out is not None:
                raise ValueError("out: expected None for a model with several inputs or outputs")
            data = Data(self._ports, x, lengths=lengths, mask=mask)
            arrays = data.predict(self._ports, self._model, library.lstm_predictor_run_many, self._handle)
            return self._ports.results(arrays)
        xs = Borrowed("x", x, lengths, mask)
        y = outputs(self._output_shape(xs), out)
        if np.may_share_memory(xs.array, y):
            xs = Borrowed("x", xs.array.copy(), lengths, mask)
        check(library.lstm_predictor_run(self._handle, xs.struct, pointer(y), y.size, None))
        return y

    def _output_shape(self, x: Borrowed) -> tuple[int, ...]:
        """Asked once for samples of one shape, but for texts, whose length decides."""
        if self._last is None or self._last[0] != x.array.shape or x.array.dtype.kind not in "iufb":
            self._last = x.array.shape, output_shape(self._model, x)
        return self._last[1]

    def __call__(self, x: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        """`run(x)`."""
        return self.run(x, lengths=lengths, mask=mask)

    def close(self) -> None:
        """Frees the predictor and ends its threads."""
        self._handle.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Predictor>"
