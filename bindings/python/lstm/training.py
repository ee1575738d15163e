"""Training: the run behind `Model.fit`, and `Trainer` for those who write their own loop."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from ctypes import CFUNCTYPE, POINTER, byref, c_double, c_int, c_size_t
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from ._arrays import Borrowed, Floats, floats, optional, pointer
from ._handle import Handle
from ._library import (
    LSTM_EVENT_BATCH_END,
    LSTM_EVENT_EPOCH_BEGIN,
    LSTM_EVENT_EPOCH_END,
    check,
    library,
    lstm_options,
    lstm_progress,
    lstm_progress_callback,
    lstm_trainer,
)
from ._many import Data, refuse_several
from ._options import class_weights
from ._progress import Progress
from ._spec import real, whole
from .callbacks import Callback, EarlyStopping, History
from .errors import UnsupportedError

if TYPE_CHECKING:
    from .models import Model
    from .streaming import Stream

__all__ = ["Trainer"]

# The callback without its second argument, which the C calling conventions let a callee ignore.
_Listener = CFUNCTYPE(c_int, POINTER(lstm_progress))


class Run:
    """One call of `fit`: passes the events of C's training loop to the callbacks and the progress line."""

    def __init__(self, model: Model, callbacks: Sequence[Callback], params: dict[str, Any], first_epoch: int) -> None:
        self.history = History()
        self._model, self._callbacks, self._first_epoch = model, callbacks, first_epoch
        self._progress = Progress(params["verbose"], params["epochs"])
        self._error: BaseException | None = None
        for callback in (self.history, *callbacks):
            callback.set_model(model)
            callback.set_params(params)

    def train(self, call: Callable[[lstm_options], int], options: lstm_options) -> None:
        """Runs C's training loop, which `call` calls. Raises what a callback raised, as it is, or what C reports."""
        for callback in self._callbacks:
            callback.on_train_begin()
        listener = self._listen()
        next(listener)
        thunk = _Listener(listener.send)
        options.progress = lstm_progress_callback(c_size_t.from_buffer(thunk).value)
        try:
            code = call(options)
        finally:
            listener.close()
            self._progress.close()
        error, self._error = self._error, None
        if error is not None:
            raise error
        check(code)
        self._note_early_stopping(options)
        for callback in self._callbacks:
            callback.on_train_end(self._last_logs())

    def _listen(self) -> Generator[int, Any, None]:
        """Receives a pointer to each event's progress and answers whether to stop.

        Python delivers Ctrl-C where it enters a function, before any `try` in it. A generator is entered where it
        yielded, inside the `try`: no exception is lost between C and here.
        """
        stop = 0
        while True:
            try:
                while True:
                    pointer = yield stop
                    if self._error is None:
                        stop = int(self._event(pointer.contents))
            except GeneratorExit:
                return
            except BaseException as error:
                self._error, stop = error, 1

    def _event(self, progress: Any) -> bool:
        epoch = progress.epoch + self._first_epoch
        if progress.event == LSTM_EVENT_BATCH_END:
            self._batch_end(epoch, progress)
        elif progress.event == LSTM_EVENT_EPOCH_BEGIN:
            for callback in self._callbacks:
                callback.on_epoch_begin(epoch)
                callback.on_train_batch_begin(0)
        elif progress.event == LSTM_EVENT_EPOCH_END:
            logs = _logs(progress)
            self._progress.epoch(epoch, progress, logs)
            for callback in (self.history, *self._callbacks):
                callback.on_epoch_end(epoch, dict(logs))
        return self._model.stop_training

    def _batch_end(self, epoch: int, progress: Any) -> None:
        due = self._progress.due()
        if not due and not self._callbacks:
            return
        logs = _logs(progress)
        if due:
            self._progress.batch(epoch, progress, logs)
        self._model._gradient_norms = progress.gradient_norms[: progress.gradient_count]
        for callback in self._callbacks:
            callback.on_train_batch_end(progress.batch - 1, dict(logs))
        if progress.batch < progress.batches and not self._model.stop_training:
            for callback in self._callbacks:
                callback.on_train_batch_begin(progress.batch)

    def _note_early_stopping(self, options: lstm_options) -> None:
        stopped = not self._model.stop_training and len(self.history.epoch) < options.epochs
        for callback in self._callbacks:
            if isinstance(callback, EarlyStopping) and stopped:
                callback.stopped_epoch = self.history.epoch[-1]
                if callback.verbose:
                    print(f"Epoch {callback.stopped_epoch + 1}: early stopping")

    def _last_logs(self) -> dict[str, float]:
        return {name: values[-1] for name, values in self.history.history.items()}


def _logs(progress: Any) -> dict[str, float]:
    return {progress.names[i].decode(): progress.values[i] for i in range(progress.columns)}


def check_callbacks(callbacks: Any) -> list[Callback]:
    """The callbacks of `fit` as a list. TypeError: no callback; UnsupportedError: one that would never be called."""
    if callbacks is None:
        return []
    result = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in result:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected lstm.callbacks.Callback, got {type(callback).__name__} {callback!r}")
        for name in dir(callback):
            if name.startswith(("on_test_", "on_predict_")):
                raise UnsupportedError(f"callbacks: {type(callback).__name__}.{name} would never be called")
    return result


class Trainer:
    """One step on one batch at a time, for those who write their own loop; `Model.trainer` makes it.

    Until it is closed the model refuses `fit`, `compile`, `adapt` and a second trainer. Also a context manager.
    """

    def __init__(self, model: Model, threads: int = 0, carry: bool = False) -> None:
        """`threads` work at once, at most 1024, 0 as many as help; they are kept between steps.

        With `carry` row i of a step goes on where row i of the step before ended, with the states of all layers as
        constants: long sequences in chunks, as with Keras's `stateful=True`. `reset_state` begins others.
        """
        self._shapes, self._ports = model.weight_shapes, model._ports  # not the model, which may hold this trainer
        self._handle = Handle(lstm_trainer, library.lstm_trainer_create, library.lstm_trainer_free, model.handle)
        check(library.lstm_trainer_set_threads(self._handle, whole("threads", threads)))
        check(library.lstm_trainer_carry(self._handle, bool(carry)))
        self._weighs_classes = False

    def reset_state(self) -> None:
        """The next step begins other sequences. ValueError: the trainer does not carry states."""
        check(library.lstm_trainer_reset_state(self._handle))

    def step(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> float:
        """Forward, loss, backward, update; returns the loss before the update. All arguments as in `fit`.

        DivergedError: a loss or gradient that is not finite; nothing was updated.
        """
        if self._ports is not None:
            if class_weight is not None:
                refuse_several(self._ports, "step: class_weight")
            data, several = Data(self._ports, x, y, sample_weight, lengths, mask), c_double()
            check(library.lstm_trainer_step_many(self._handle, data.struct, byref(several)))
            return several.value
        return self.step_borrowed(Borrowed("x", x, lengths, mask), Borrowed("y", y), sample_weight, class_weight)

    def step_borrowed(
        self, x: Borrowed, y: Borrowed, sample_weight: Any = None, class_weight: dict[int, float] | None = None
    ) -> float:
        """`step` on arrays that are ready for C."""
        if class_weight is not None:
            table = class_weights(class_weight, y)
            check(library.lstm_trainer_set_class_weights(self._handle, pointer(table, c_double), table.size))
        elif self._weighs_classes:
            check(library.lstm_trainer_set_class_weights(self._handle, None, 0))
        self._weighs_classes = class_weight is not None
        loss, weights = c_double(), optional("sample_weight", sample_weight)
        check(library.lstm_trainer_step(self._handle, x.struct, y.struct, weights, byref(loss)))
        return loss.value

    def learn(self, stream: Stream, y: Any = None) -> float:
        """`step` on the samples that a stream has kept (`Stream.keep`), n of them; returns the loss before the update.

        They are one sequence that begins in zero state, and `y` holds its targets. Without `y` the model learns what
        comes next: the output at each timestep is to be the next sample (of tokens, the next token), or the one output
        of a sequence its last sample. The stream is of this model or of one with the same parameters, as that of which
        this is a copy, and not in use by another thread. ValueError: too few samples, targets of another shape.
        """
        loss, given = c_double(), optional("y", y)
        check(library.lstm_trainer_learn(self._handle, stream._handle, given, byref(loss)))
        return loss.value

    def gradient(self, name: str) -> Floats:
        """The gradient of the last step's loss, after clipping, for a parameter of `model.weight_shapes`.

        ValueError: no such trainable parameter, or no step yet.
        """
        values = floats(library.lstm_trainer_gradient, self._handle, name.encode())
        return values.reshape(self._shapes[name])

    def gradient_norms(self) -> dict[str, float]:
        """The norm of the last step's gradient of each parameter, before clipping; 0 for those not trained.

        ValueError: no step yet.
        """
        norms = np.empty(len(self._shapes), np.float64)
        check(library.lstm_trainer_gradient_norms(self._handle, pointer(norms, c_double), norms.size, None))
        return dict(zip(self._shapes, norms.tolist()))

    @property
    def learning_rate(self) -> float:
        """The learning rate from the next step on; part of the model's training state."""
        rate = c_double()
        check(library.lstm_trainer_learning_rate(self._handle, byref(rate)))
        return rate.value

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        check(library.lstm_trainer_set_learning_rate(self._handle, real("learning_rate", rate)))

    def close(self) -> None:
        """Frees the trainer. The model and its training state stay."""
        self._handle.close()

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Trainer of {', '.join(self._shapes)}>"
