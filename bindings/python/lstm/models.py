"""Model and Sequential: layers in a graph or in a row, built, trained, asked and saved by the C library.

Longer than 300 lines because Keras's one class has this many methods; each only turns its arguments into one call of C.
Those that build a model stand in `_building`, that save and copy it in `_saving`, that generate in `_generating`, that
show what goes on in it in `_inspecting`.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Sequence
from ctypes import byref, c_double, c_int64, c_size_t, sizeof
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from . import decoding, losses, metrics, optimizers
from ._arrays import Borrowed, Floats, characters, floats, outputs, plain, pointer
from ._building import Built
from ._generating import Generating
from ._graph import Output, members, ordered
from ._handle import Handle
from ._inspecting import Inspecting
from ._library import (
    LSTM_BF16,
    LSTM_INT8,
    LSTM_MAX_COLUMNS,
    check,
    library,
    lstm_history,
    lstm_model,
    lstm_parameter,
)
from ._many import Outputs, Ports, refuse_several
from ._options import Options
from ._progress import figures, style
from ._saving import Path, adopt, handle_of_bytes, handle_of_file
from ._source import Source, is_source, refuse_with_source
from ._spec import encode, named, real, refuse, whole
from .callbacks import BackupAndRestore, Callback, History
from .decoding import Labels
from .errors import UnsupportedError
from .layers import Input, Layer
from .online import Learner
from .prediction import Predictor, output_shape
from .streaming import Stream
from .training import Run, Trainer, check_callbacks

__all__ = ["Model", "Sequential", "from_bytes", "load_model"]

Logs = dict[str, float]

_COMPILE: dict[str, tuple[Any, ...]] = {
    "weighted_metrics": (None, []),
    "run_eagerly": (False, None),
    "steps_per_execution": (1, None),
    "jit_compile": ("auto", True, False, None),
    "auto_scale_loss": (True, False),
}
_FIT: dict[str, tuple[Any, ...]] = {
    "validation_steps": (None,),
    "validation_batch_size": (None,),
    "validation_freq": (1,),
}
_PREDICT: dict[str, tuple[Any, ...]] = {"steps": (None,), "callbacks": (None, [])}
_EVALUATE: dict[str, tuple[Any, ...]] = {"callbacks": (None, [])}


class Model(Built, Generating, Inspecting):
    """A model of layers that read one another's outputs: `Model(inputs, outputs)`, with Keras's methods.

    In Keras's functional style:

        x = lstm.Input((None, 7))
        h = LSTM(64, return_sequences=True)(x)
        model = lstm.Model(x, Dense(1)(Add()([h, LSTM(64, return_sequences=True)(h)])))

    `x` is a numpy array or list of any type and stride: strings [B] for Text, tokens [B, T] for Embedding, else numbers
    [B, ...]. Sequences of different length: a list of arrays, or `lengths` [B], or `mask` [B, T], false for padding.
    With several inputs or outputs, `Model([a, b], [c, d])` or dicts of these, data are lists in that order or dicts by
    the names of the Inputs and of the outputs' layers, and so are loss, loss_weights, metrics, lengths and mask. Such
    a model neither streams nor takes generators.
    A Sequential whose input shape is not known is built by the first data it sees. Any number of threads may `predict`
    and `evaluate` at once; everything else needs the model to itself.

    Copying and pickling keep weights, vocabulary and training state.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, *, seed: int = 0, activations: str = "exact"
    ) -> None:
        """`inputs` are Inputs, `outputs` what layers gave that were called on them or on what others gave.

        `seed` determines the first weights, dropout and the order of the samples. `activations` says how sigmoid and
        tanh are computed: "exact" to 2 units in the last place, "fast" to 5.
        """
        entries, input_keys = members("inputs", inputs, Input)
        exits, output_keys = members("outputs", outputs, Output)
        self._begin(name or "model", seed, activations)
        is_single = len(entries) == len(exits) == 1 and exits[0].state is None
        names = {id(one): "input" for one in entries}
        if len(entries) > 1:
            for one, given in zip(entries, _input_names(entries, input_keys)):
                names[id(one)] = given
        if not is_single:
            self._ports = Ports([names[id(one)] for one in entries], [], input_keys, output_keys)
        for one in ordered(entries, exits):
            self._append(one.layer, [_name(source, names) for source in one.inputs])
            names[id(one)] = self.layers[-1].name or ""
        if self._ports is not None:
            self._ports.outputs.extend(_name(one, names) for one in exits)
        self._input_shape, self._input_shapes = entries[0].shape, [one.shape for one in entries]

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        **keras: Any,
    ) -> None:
        """Sets what training minimises: names, or objects of lstm.optimizers, lstm.losses and lstm.metrics.

        Of several outputs a list or dict with a loss for each, or one for all; loss_weights and metrics likewise.

        Forgets all state of an earlier optimizer. ValueError: an unknown name or a field out of range.
        """
        refuse("compile", keras, _COMPILE)
        training = self._describe_training(optimizer, loss, loss_weights, metrics)
        text = encode(training)
        if self._knows_its_input:
            handle = self.handle
            self._release_trainer()
            check(library.lstm_compile(handle, text))
        self._training = training

    def _describe_training(self, optimizer: Any, loss: Any, loss_weights: Any, metrics: Any) -> dict[str, Any]:
        if self._ports is None or len(self._ports.outputs) == 1:
            (loss, loss_weights, metrics) = (_only(one, self) for one in (loss, loss_weights, metrics))
            if isinstance(metrics, str) or not isinstance(metrics, (list, tuple, type(None))):
                raise TypeError(f"compile: metrics must be a list, got {type(metrics).__name__} {metrics!r}")
            loss, metrics = named(loss, losses.ALIASES), [named(metric, _METRICS) for metric in metrics or ()]
        else:
            loss = self._ports.per_output("loss", loss, lambda one: named(one, losses.ALIASES))
            loss_weights = self._ports.per_output("loss_weights", loss_weights)
            metrics = self._ports.per_output("metrics", metrics, _metrics_of)
        training = {"loss": loss, "optimizer": named(optimizer, optimizers.ALIASES)}
        if loss_weights is not None:
            training["loss_weights"] = loss_weights
        return training if metrics is None else {**training, "metrics": metrics}

    def adapt(self, x: Any, *, lengths: Any = None, mask: Any = None) -> None:
        """Learns the vocabulary of Text and the mean and deviation of Normalize layers from x, each time anew."""
        if self._ports is not None:
            data = self._gather(x, lengths=lengths, mask=mask)
            self._release_trainer()
            check(library.lstm_adapt_many(self.handle, data.struct))
            return
        xs = self._borrow(x, lengths, mask)
        self._release_trainer()
        check(library.lstm_adapt(self.handle, xs.struct))

    # Training

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        *,
        resume: bool = False,
        bptt_steps: int = 0,
        lengths: Any = None,
        mask: Any = None,
        validation_lengths: Any = None,
        validation_mask: Any = None,
        threads: int = 0,
        **keras: Any,
    ) -> History:
        """Trains from `initial_epoch` to `epochs`, in batches of 32; goes on where an earlier call stopped.

        `validation_split` is the last fraction of the samples, split off before shuffling. `verbose`: 0 is silent, 1 a
        bar, 2 a line an epoch, "auto" a bar on a terminal. `sample_weight` is [B], or [B, T] for targets of each
        timestep; `class_weight` goes by the label in y, of a sample or of a timestep. Ctrl-C stops at once and keeps
        the weights. `threads` is how many work at once, at most 1024, 0 as many as help; it changes no bit of a result.

        For data that do not fit in memory `x` is a generator or iterable of batches (x, y) or (x, y, weights), with
        `steps_per_epoch` if it has no end, or an object with `len` and items as keras.utils.Sequence; without `y`.
        `resume` goes on in the middle of the epoch in which this model's training was stopped or saved: with the same
        data and arguments it ends with the bits of training that never stopped. That epoch is the first of the call.
        `bptt_steps` is for long sequences with targets for each timestep: truncated backpropagation through time, an
        update after each so many timesteps of a batch, which goes on with the states of its layers (Keras's
        `stateful=True`); callbacks hear of a batch after its last.
        DivergedError: the loss is no longer finite; the weights are those of the beginning of that epoch.
        """
        refuse("fit", keras, _FIT)
        called = check_callbacks(callbacks)
        first = whole("initial_epoch", initial_epoch)
        last = whole("epochs", epochs, first)
        options = Options(batch_size, threads)
        options.shuffle(shuffle)
        options.struct.bptt_steps = whole("bptt_steps", bptt_steps)
        if is_source(x, y):
            refuse_several(self._ports, "fit: batches of a generator")
            refuse_with_source("fit", batch_size=batch_size, validation_split=validation_split, lengths=lengths)
            refuse_with_source("fit", sample_weight=sample_weight, class_weight=class_weight, mask=mask)
            source = Source("fit", x, steps_per_epoch, shuffle=shuffle, seed=self.seed)
            if not self._knows_its_input:
                self._borrow(source.first())
            batches = options.struct.steps_per_epoch = source.steps
            call = self._source_call(source)

        else:
            if steps_per_epoch is not None:
                raise UnsupportedError("fit: steps_per_epoch goes with batches of a generator, not with arrays")
            rows, call = self._training_call(options, x, y, sample_weight, class_weight, lengths, mask)
            samples = math.floor(rows * (1 - real("validation_split", validation_split)))
            batches = math.ceil(samples / options.struct.batch_size)

        gather = None if self._ports is None else self._gather
        options.validate(validation_split, validation_data, validation_lengths, validation_mask, gather)
        first, resume = self._restore_backup(called, first, resume)
        options.struct.epochs = max(0, last - first)
        options.struct.resume = bool(resume)
        options.stop_early(called, first)
        options.reduce_on_plateau(called)
        run = Run(self, called, {"verbose": verbose, "epochs": last, "steps": batches}, first)
        self._release_trainer()
        self.stop_training, self.history = False, run.history
        if last > first:
            run.train(call, options.struct)
        return run.history

    def _source_call(self, source: Source) -> Callable[[Any], int]:
        """What trains on the batches of a source with its options."""

        def train(options: Any) -> int:
            code: int = library.lstm_train_from(self.handle, source.thunk, None, options, None)
            source.check()
            return code

        return train

    def _training_call(
        self, options: Options, x: Any, y: Any, sample_weight: Any, class_weight: Any, lengths: Any, mask: Any
    ) -> tuple[int, Callable[[Any], int]]:
        """The number of samples, and what trains on them with its options."""
        if self._ports is not None:
            if class_weight is not None:
                refuse_several(self._ports, "fit: class_weight")
            data = self._gather(x, y, sample_weight, lengths, mask)

            def train_many(options: Any) -> int:
                code: int = library.lstm_train_many(self.handle, data.struct, options, None)
                return code

            return data.rows, train_many
        xs, ys = self._borrow(x, lengths, mask), Borrowed("y", y)
        options.weigh(sample_weight, class_weight, ys)

        def train(options: Any) -> int:
            code: int = library.lstm_train(self.handle, xs.struct, ys.struct, options, None)
            return code

        return xs.shape[0], train

    def _restore_backup(self, callbacks: Sequence[Callback], first: int, resume: bool) -> tuple[int, bool]:
        """Takes up the training that a BackupAndRestore has saved: the epoch to begin with, and if it was begun."""
        for callback in callbacks:
            if isinstance(callback, BackupAndRestore) and os.path.exists(callback.path):
                saved = load_model(callback.path)
                if saved.to_json() != self.to_json():
                    raise ValueError(
                        f"BackupAndRestore: {callback.path!r} is of another model; delete it to begin anew"
                    )
                done = saved._epochs_trained() - self._epochs_trained()
                self._release_trainer()
                self._handle = saved._handle
                return first + max(0, done), True
        return first, resume

    def _epochs_trained(self) -> int:
        """Whole epochs since `compile`, as its file says."""
        file = self.to_bytes()
        length = int.from_bytes(file[:8], "little")
        return int(json.loads(file[8 : 8 + length])["__metadata__"]["epoch"])

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> float | list[float] | Logs:
        """One step on one batch. Returns the loss before the update, with metrics a list or dict of it and them.

        Weights as in `fit`. The metrics are measured before the step, without dropout.
        """
        if not self._knows_its_input:
            self._borrow(x, lengths, mask)
        logs = {}
        if self._ports is not None or (self._training and self._training.get("metrics")):
            logs = self._evaluated(x, y, Options(), sample_weight, lengths, mask)[1]
        if self._own_trainer is None:
            self._own_trainer = Trainer(self)
        step = self._own_trainer.step if self._ports is not None else self._step
        logs["loss"] = step(x, y, sample_weight, class_weight, lengths=lengths, mask=mask)
        return _keras_result(logs, return_dict)

    def _step(self, x: Any, y: Any, sample_weight: Any, class_weight: Any, *, lengths: Any, mask: Any) -> float:
        assert self._own_trainer is not None
        xs, ys = self._borrow(x, lengths, mask), Borrowed("y", y)
        return self._own_trainer.step_borrowed(xs, ys, sample_weight, class_weight)

    def trainer(self, threads: int = 0, carry: bool = False) -> Trainer:
        """A Trainer, to write one's own loop, whose steps may `carry` states from one to the next.

        ValueError: the model is not compiled, or another trainer is open. UnsupportedError: a layer cannot carry.
        """
        self._release_trainer()
        return Trainer(self, threads, carry)

    def learner(self, threads: int = 0) -> Learner:
        """A Learner: training beside predictions. ValueError: the model is not compiled, or a trainer is open."""
        self._release_trainer()
        return Learner(self, threads)

    def set_publishing(self, on: bool = True) -> None:
        """Whether weights may be published to this model, whose memory is there twice from then on.

        No other thread may use the model during this call; between two of them `publish` may come at any time.
        """
        self._release_trainer()
        check(library.lstm_set_publishing(self.handle, bool(on)))

    def publish(self, model: Model) -> None:
        """Makes the weights of a copy, or of another model of the same layers, those of this one, all at once.

        Other threads may use this model meanwhile, but not change the other. After an error nothing has changed:
        ValueError: no `set_publishing`, other parameters or vocabulary, a model in training; DivergedError: a weight
        that is not finite.
        """
        check(library.lstm_publish(self.handle, model.handle))

    def _release_trainer(self) -> None:
        if self._own_trainer is not None:
            self._own_trainer.close()
            self._own_trainer = None

    @property
    def learning_rate(self) -> float:
        """The learning rate from the next step on, which a callback of `fit` may set too.

        ValueError: the model is not compiled; set where it follows a schedule.
        """
        rate = c_double()
        check(library.lstm_learning_rate(self.handle, byref(rate)))
        return rate.value

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        check(library.lstm_set_learning_rate(self.handle, real("learning_rate", rate)))

    def serve_average(self, average: bool = True) -> None:
        """Makes the weights the average that the optimizer keeps (use_ema, average_from), or the trained ones.

        `fit` ends with the average; training goes on from the trained ones. ValueError: there is none, or not yet.
        """
        self._release_trainer()
        check(library.lstm_serve_average(self.handle, bool(average)))

    # Evaluation, prediction, streaming

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
        steps: int | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        threads: int = 0,
        **keras: Any,
    ) -> float | list[float] | Logs:
        """Loss and metrics without dropout: a list, with return_dict a dict, without metrics the loss alone.

        `x` may be a generator, iterable or sequence of batches as in `fit`, of which `steps` are taken, all if None.
        """
        refuse("evaluate", keras, _EVALUATE)
        begin, shown = time.monotonic(), style(verbose)
        if is_source(x, y):
            refuse_several(self._ports, "evaluate: batches of a generator")
            refuse_with_source(
                "evaluate", sample_weight=sample_weight, lengths=lengths, mask=mask, batch_size=batch_size
            )
            logs = self._evaluate_source(Source("evaluate", x, steps), Options(None, threads))
            if shown:
                print(f"{time.monotonic() - begin:.1f}s  {figures(logs)}", flush=True)
            return _keras_result(logs, return_dict)
        if steps is not None:
            raise UnsupportedError("evaluate: steps goes with batches of a generator, not with arrays")
        rows, logs = self._evaluated(x, y, Options(batch_size, threads), sample_weight, lengths, mask)
        if shown:
            print(f"{rows} samples  {time.monotonic() - begin:.1f}s  {figures(logs)}", flush=True)
        return _keras_result(logs, return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        return_dict: bool = False,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> float | list[float] | Logs:
        """`evaluate` on one batch, silently."""
        return self.evaluate(
            x, y, verbose=0, sample_weight=sample_weight, return_dict=return_dict, lengths=lengths, mask=mask
        )

    def confusion_matrix(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        threads: int = 0,
    ) -> npt.NDArray[np.int64]:
        """How often each class was taken for each, [actual, predicted], padding left out.

        The decision is the largest output; of one output with a loss of yes or no it is whether that says yes.
        UnsupportedError: the loss is none over classes.
        """
        refuse_several(self._ports, "confusion_matrix")
        xs, ys, count = self._borrow(x, lengths, mask), Borrowed("y", y), c_size_t()
        arguments = (self.handle, xs.struct, ys.struct, Options(batch_size, threads).struct)
        check(library.lstm_confusion_matrix(*arguments, None, 0, byref(count)))
        counts = np.empty((math.isqrt(count.value),) * 2, np.int64)
        check(library.lstm_confusion_matrix(*arguments, pointer(counts, c_int64), counts.size, None))
        return counts

    def _evaluated(
        self, x: Any, y: Any, options: Options, sample_weight: Any, lengths: Any, mask: Any
    ) -> tuple[int, Logs]:
        """The number of samples and their figures."""
        if self._ports is not None:
            data = self._gather(x, y, sample_weight, lengths, mask)
            arguments = (self.handle, data.struct, options.struct)
            return data.rows, _figures(lambda history: library.lstm_evaluate_many(*arguments, history))
        xs, ys = self._borrow(x, lengths, mask), Borrowed("y", y)
        options.weigh(sample_weight)
        single = (self.handle, xs.struct, ys.struct, options.struct)
        return xs.shape[0], _figures(lambda history: library.lstm_evaluate(*single, history))

    def _evaluate_source(self, source: Source, options: Options) -> Logs:
        options.struct.steps_per_epoch = source.steps

        def call(history: lstm_history) -> int:
            code: int = library.lstm_evaluate_from(self.handle, source.thunk, None, options.struct, history)
            source.check()
            return code

        return _figures(call)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        *,
        lengths: Any = None,
        mask: Any = None,
        threads: int = 0,
        **keras: Any,
    ) -> Any:
        """The outputs for all samples of x: an array, or of several outputs a list of them, or a dict if given so.

        A row's bits depend neither on other rows nor on batch size or padding.

        Silent unless `verbose` is 1 or 2.
        """
        refuse("predict", keras, _PREDICT)
        begin, shown = time.monotonic(), style(verbose) if verbose != "auto" else 0
        rows, y = self._predicted(x, Options(batch_size, threads), lengths, mask)
        if shown:
            print(f"{rows} samples  {time.monotonic() - begin:.1f}s", flush=True)
        return y

    def _predicted(self, x: Any, options: Options, lengths: Any, mask: Any) -> tuple[int, Outputs]:
        """The number of samples and the outputs."""
        if self._ports is not None:
            data = self._gather(x, lengths=lengths, mask=mask)
            arrays = data.predict(self._ports, self.handle, library.lstm_predict_many, self.handle, options.struct)
            return data.rows, self._ports.results(arrays)
        xs = self._borrow(x, lengths, mask)
        y = outputs(output_shape(self.handle, xs))
        check(library.lstm_predict(self.handle, xs.struct, options.struct, pointer(y), y.size, None))
        return xs.shape[0], y

    def predict_on_batch(self, x: Any) -> Any:
        """`predict` on one batch."""
        return self.predict(x)

    def __call__(self, x: Any, *, mask: Any = None) -> Any:
        """`predict(x)`."""
        return self.predict(x, mask=mask)

    def ctc_decode(
        self,
        x: Any,
        strategy: str = "greedy",
        beam_width: int = 100,
        top_paths: int = 1,
        *,
        mask_index: int = 0,
        lengths: Any = None,
        mask: Any = None,
    ) -> Labels:
        """(labels [top_paths, B, T], log-probabilities [B, top_paths]) of the outputs for x; see lstm.ctc_decode.

        Outputs are probabilities if the model ends in a softmax, else logits.
        """
        refuse_several(self._ports, "ctc_decode")
        xs = self._borrow(x, lengths, mask)
        return decoding.of_model(self.handle, xs, strategy, beam_width, top_paths, mask_index)

    def crf_decode(self, x: Any, top_paths: int = 1, *, lengths: Any = None, mask: Any = None) -> Labels:
        """The most probable tags for x of a model that ends in a CRF: (tags, log-probabilities).

        Tags [top_paths, B, T], -1 over padding; log-probabilities [B, top_paths]. UnsupportedError: another model.
        """
        refuse_several(self._ports, "crf_decode")
        if json.loads(self.to_json())["layers"][-1]["type"] != "crf":
            raise UnsupportedError("crf_decode: the model does not end in a CRF")
        return decoding.of_model(self.handle, self._borrow(x, lengths, mask), "greedy", 0, top_paths, 0)

    def predictor(self, threads: int = 0) -> Predictor:
        """A Predictor, the fastest `predict` of small batches. ValueError: the model is not built."""
        return Predictor(self, threads)

    def stream(self) -> Stream:
        """A Stream, which takes one sequence step by step."""
        return Stream(self)

    # Weights

    def _parameters(self) -> list[lstm_parameter]:
        count = c_size_t()
        check(library.lstm_parameter_count(self.handle, byref(count)))
        parameters = [lstm_parameter(struct_size=sizeof(lstm_parameter)) for _ in range(count.value)]
        for index, parameter in enumerate(parameters):
            check(library.lstm_parameter_info(self.handle, index, parameter))
        return parameters

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by their names, `<layer>.<kind>`, in the order of get_weights."""
        return {one.name.decode(): tuple(one.shape[: one.rank]) for one in self._parameters()}

    def get_weight(self, name: str) -> Floats:
        """A copy of one parameter. ValueError: there is none of that name."""
        values = floats(library.lstm_get_parameter, self.handle, name.encode())
        return values.reshape(self.weight_shapes[name])

    def get_weights(self) -> list[Floats]:
        """Copies of all parameters in Keras's order, shapes and gates (i f c o)."""
        return [self.get_weight(name) for name in self.weight_shapes]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all parameters, as get_weights gives them. ValueError: a wrong number, shape or value; none is set."""
        self.set_named_weights(list(self.weight_shapes), weights)

    def set_named_weights(self, names: Sequence[str], weights: Sequence[Any]) -> None:
        """Sets the parameters `names`. ValueError: a wrong number of arrays, shape or value; then none is set."""
        arrays = [plain(weight) for weight in weights]
        if len(arrays) != len(names):
            raise ValueError(f"weights: expected {len(names)} arrays, got {len(arrays)}")
        shapes = self.weight_shapes
        for index, (name, array) in enumerate(zip(names, arrays)):
            shape = shapes[name]
            if array.shape != shape:
                raise ValueError(f"weights[{index}]: expected shape {shape} for {name}, got {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"weights[{index}]: expected finite values for {name}")
        for name, array in zip(names, arrays):
            check(library.lstm_set_parameter(self.handle, name.encode(), pointer(array), array.size))

    def load_weights(self, filepath: Path) -> None:
        """Sets the weights to those of a saved model with the same layers. ValueError: the layers differ."""
        self.set_weights(load_model(filepath).get_weights())

    def count_params(self) -> int:
        """The number of values in all parameters."""
        return sum(parameter.count for parameter in self._parameters())

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Prints the table of layers, output shapes and parameters. ValueError: the model is not built."""
        print_fn(characters(library.lstm_summary, self.handle)[:-1].decode().rstrip("\n"))

    def to_json(self) -> str:
        """The whole description, vocabulary included, as the C library takes it. ValueError: the model is not built."""
        return characters(library.lstm_describe, self.handle)[:-1].decode()

    def describe_layer(self, name: str) -> dict[str, Any]:
        """The entry of a layer in the description, with all that was learned."""
        described: list[dict[str, Any]] = json.loads(self.to_json())["layers"]
        return next(layer for layer in described if layer["name"] == name)

    def compress(self, weights: str) -> Model:
        """A second model for prediction and streaming alone, with weights rounded to "bfloat16" or "int8".

        It cannot be trained, compiled, adapted or evaluated (UnsupportedError). ValueError: the model is not built.
        """
        formats = {"bfloat16": LSTM_BF16, "int8": LSTM_INT8}
        if weights not in formats:
            raise ValueError(f"weights: expected 'bfloat16' or 'int8', got {weights!r}")
        handle = Handle(lstm_model, library.lstm_compress, library.lstm_free, self.handle, formats[weights])
        return adopt(handle)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {', '.join(map(repr, self.layers))}>"


class Sequential(Model):
    """A model of layers in a row."""

    def __init__(
        self,
        layers: Iterable[Layer | Input] | None = None,
        name: str | None = None,
        *,
        seed: int = 0,
        activations: str = "exact",
    ) -> None:
        """`seed` and `activations` as for Model."""
        self._begin(name or "sequential", seed, activations)
        if isinstance(layers, (Layer, Input)):
            raise TypeError(f"Sequential: expected a list of layers, got {layers!r}")
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Layer | Input) -> None:
        """Appends a layer. TypeError: no layer; ValueError: the model is built, or the layer is part of another one."""
        if self.built:
            raise ValueError(f"add: model {self.name!r} is built and cannot change; make a new one")
        if isinstance(layer, Input):
            if self.layers:
                raise ValueError("add: Input must come first")
            self._input_shape = layer.shape
        elif isinstance(layer, Layer):
            self._append(layer)
        else:
            raise TypeError(f"add: expected a layer of lstm.layers, got {type(layer).__name__} {layer!r}")


_METRICS = metrics.ALIASES


def _metrics_of(given: Any) -> list[Any]:
    """The metrics of one output, a list of them or one."""
    return [named(metric, _METRICS) for metric in (given if isinstance(given, (list, tuple)) else [given])]


def _input_names(inputs: Sequence[Input], keys: Sequence[str] | None) -> list[str]:
    """Those that the inputs have, or the keys, or Keras's. ValueError: one twice."""
    names: list[str] = []
    for index, one in enumerate(inputs):
        free = (f"input_layer_{number}" if number else "input_layer" for number in range(len(inputs)))
        name = one.name or (keys[index] if keys else next(name for name in free if name not in names))
        if name in names:
            raise ValueError(f"inputs: expected names of their own, got {name!r} twice")
        names.append(name)
    return names


def _name(source: Input | Output, names: dict[int, str]) -> str:
    """What the description calls an input or output; `names` are those of the inputs and of whole outputs."""
    if isinstance(source, Output):
        return names[id(source.whole)] + (f".{source.state}" if source.state else "")
    return names[id(source)]


def _only(given: Any, model: Model) -> Any:
    """The entry for a model's only output of what may be a dict by the name of its layer."""
    if isinstance(given, dict) and model.layers and set(given) == {model.layers[-1].name}:
        return given[model.layers[-1].name]
    return given


def load_model(filepath: Path) -> Model:
    """Opens a saved model. OSError: no such file; FormatError: no model, damaged, or of a newer version."""
    return adopt(handle_of_file(filepath))


def from_bytes(data: bytes) -> Model:
    """The model of `Model.to_bytes`. FormatError: no model, damaged, or of a newer version."""
    return adopt(handle_of_bytes(data))


def _figures(call: Callable[[lstm_history], int]) -> Logs:
    """The columns of the history that `call` fills."""
    values, history = (c_double * LSTM_MAX_COLUMNS)(), lstm_history()
    check(library.lstm_history_init(history, sizeof(history), values, 1))
    check(call(history))
    return {history.names[i].decode(): values[i] for i in range(history.columns)}


def _keras_result(logs: Logs, as_dict: bool) -> float | list[float] | Logs:
    """What Keras returns: a dict, or the values with the loss first, or the loss if it is alone."""
    ordered = {"loss": logs["loss"], **logs}
    if as_dict:
        return ordered
    return list(ordered.values()) if len(ordered) > 1 else ordered["loss"]
