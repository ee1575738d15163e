"""A model fed step by step, with the state of its layers in between; and many of them a step each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_size_t
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import Floats, floats, outputs, plain, pointer
from ._handle import Handle
from ._library import check, library, lstm_stream
from ._spec import whole

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Stream", "step_streams"]


class Stream:
    """One sequence that arrives step by step: step t gives, bit for bit, what `predict` gives for the steps up to t.

    A stream belongs to one thread at a time; many streams may share a model. `inputs` and `outputs` are the numbers in
    and out of one step; a model that reads tokens takes one, the token's index. Also a context manager.

    `x` [inputs] and `y` [outputs] are the arrays in which every step has its numbers: `step(stream.x, stream.y)` is the
    fastest step, it copies nothing.
    """

    def __init__(self, model: Model) -> None:
        """ValueError: the model is not built; UnsupportedError: a layer needs the whole sequence first."""
        self._handle = Handle(lstm_stream, library.lstm_stream_create, library.lstm_stream_free, model.handle)
        inputs, outputs = c_size_t(), c_size_t()
        check(library.lstm_stream_sizes(self._handle, byref(inputs), byref(outputs)))
        self.inputs, self.outputs = inputs.value, outputs.value
        self._x: Floats = np.zeros(self.inputs, np.float32)
        self._y: Floats = np.zeros(self.outputs, np.float32)
        # A step's arguments, made once and of C's types: this function of its own, without argtypes, converts nothing.
        self._step = library["lstm_stream_step"]
        self._arguments = (self._handle._as_parameter_, pointer(self._x), inputs, pointer(self._y), outputs)

    def step(self, x: Any, out: Floats | None = None) -> Floats:
        """One timestep: x [inputs] (or one number) -> [outputs], written to `out` if given, which allocates nothing.

        ValueError: x or out of another size, a token past the vocabulary.
        """
        if out is not None and out is not self._y and out.shape != self._y.shape:
            raise ValueError(f"out: expected shape {self._y.shape}, got {out.shape}")
        if x is not self._x:
            self._x[...] = self._row(x)
        code = self._step(*self._arguments)
        if code:
            check(code)
        if out is None:
            return self._y.copy()
        if out is not self._y:
            out[...] = self._y
        return out

    def process(self, x: Any, out: Floats | None = None) -> Floats:
        """Many timesteps at once: x [steps, inputs] -> [steps, outputs], written to `out` if given.

        ValueError: x or out of another shape, a token past the vocabulary; then no step was made.
        """
        rows = plain(x)
        if rows.ndim == 1 and self.inputs == 1:
            rows = rows[:, np.newaxis]
        if rows.ndim != 2 or rows.shape[1] != self.inputs:
            raise ValueError(f"x: expected shape (steps, {self.inputs}), got {rows.shape}")
        y = outputs((len(rows), self.outputs), out)
        rows = rows.copy() if np.may_share_memory(rows, y) else rows
        check(library.lstm_stream_process(self._handle, len(rows), pointer(rows), rows.size, pointer(y), y.size))
        return y

    def forecast(
        self, x: Any, steps: int, next_input: Callable[[Floats], Any] | None = None, out: Floats | None = None
    ) -> Floats:
        """The next `steps` outputs [steps, outputs], each of which becomes the next input, behind timestep x [inputs].

        Of a known series read all but its last timestep by `process`, and forecast from that. `next_input` makes the
        next timestep of an output where they are not the same, as by drawing from the distribution that the output
        describes. UnsupportedError: as many numbers in as out are needed without it; ValueError: x of another size.
        """
        y = outputs((whole("steps", steps, 0, 2**40), self.outputs), out)
        if next_input is None:
            row = np.require(self._row(x), np.float32, ["C", "A"])
            check(library.lstm_stream_forecast(self._handle, steps, pointer(row), row.size, pointer(y), y.size))
            return y
        for step in range(steps):
            self.step(x, out=y[step])
            x = next_input(y[step])
        return y

    @property
    def x(self) -> Floats:
        """The array [inputs] that a step reads."""
        return self._x

    @property
    def y(self) -> Floats:
        """The array [outputs] that a step writes."""
        return self._y

    def keep(self, steps: int) -> None:
        """From now on the last `steps` samples are kept, for `Trainer.learn`; 0: none. `reset` forgets them."""
        check(library.lstm_stream_keep(self._handle, whole("steps", steps, 0, 2**40)))

    def set_threads(self, threads: int) -> None:
        """The threads that work in a step from now on, at most 1024 with the caller: 1 unless set, 0 as many as help.

        After a step the others wait for the next one, up to 1 ms of that awake. They end with the stream. It pays where
        a step takes more than a few microseconds.
        """
        check(library.lstm_stream_set_threads(self._handle, whole("threads", threads)))

    def reset(self) -> None:
        """Back to the state of a new stream."""
        check(library.lstm_stream_reset(self._handle))

    @property
    def state(self) -> Floats:
        """A copy of the whole state, which another stream of the same model may be set to."""
        return floats(library.lstm_stream_get_state, self._handle)

    @state.setter
    def state(self, state: Any) -> None:
        values = plain(state)
        check(library.lstm_stream_set_state(self._handle, pointer(values), values.size))

    def close(self) -> None:
        """Frees the stream."""
        self._handle.close()

    def _row(self, x: Any) -> Any:
        row = x if isinstance(x, np.ndarray) else np.asarray(x)
        if row.shape == self._x.shape:
            return row
        if row.size != self.inputs:
            raise ValueError(f"x: expected {self.inputs} numbers, one timestep, got shape {row.shape}")
        return row.reshape(self._x.shape)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Stream: {self.inputs} numbers in, {self.outputs} out>"


def step_streams(streams: Sequence[Stream], x: Any, out: Floats | None = None, threads: int = 0) -> Floats:
    """One timestep of each of different streams of one model, together, to the same bits: faster than one by one.

    x [streams, inputs] -> [streams, outputs], written to `out` if given.
    `threads` work at once, at most 1024, 0 as many as help.
    ValueError: a stream twice or of another model, x or out of another shape; then no stream made a step.
    """
    for stream in streams:
        if not isinstance(stream, Stream):
            raise TypeError(f"streams: expected Stream objects, got {type(stream).__name__} {stream!r}")
    if not streams:
        raise ValueError("streams: expected one at least, got none")
    count, first, rows = len(streams), streams[0], plain(x)
    if rows.ndim == 1 and first.inputs == 1:
        rows = rows[:, np.newaxis]
    if rows.shape != (count, first.inputs):
        raise ValueError(f"x: expected shape {(count, first.inputs)}, got {rows.shape}")
    y = outputs((count, first.outputs), out)
    rows = rows.copy() if np.may_share_memory(rows, y) else rows
    handles: list[Any] = [stream._handle._as_parameter_ for stream in streams]
    together, arrays = (POINTER(lstm_stream) * count)(*handles), (pointer(rows), rows.size, pointer(y), y.size)
    check(library.lstm_streams_step(together, count, *arrays, whole("threads", threads)))
    return y
