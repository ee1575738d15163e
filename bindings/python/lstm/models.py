"""Sequential, the model: layers in a row, built, trained, asked and saved by the C library.

Longer than 300 lines because Keras's one class has this many methods; each only turns its arguments into one call of C.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Iterable, Sequence
from ctypes import byref, c_double, c_int64, c_size_t, sizeof
from typing import Any, Callable, Union

import numpy as np
import numpy.typing as npt

from . import layers, losses, metrics, optimizers
from ._arrays import Borrowed, Floats, characters, floats, outputs, plain, pointer
from ._handle import Handle
from ._library import (
    LSTM_BF16,
    LSTM_INT8,
    LSTM_MAX_COLUMNS,
    LSTM_SAVE_WEIGHTS_ONLY,
    check,
    library,
    lstm_history,
    lstm_model,
    lstm_parameter,
)
from ._options import Options
from ._progress import figures, style
from ._spec import encode, named, refuse, whole
from .callbacks import History
from .layers import Input, Layer
from .prediction import Predictor, output_shape
from .streaming import Stream
from .training import Run, Trainer, check_callbacks

__all__ = ["Sequential", "from_bytes", "load_model"]

Path = Union[str, bytes, "os.PathLike[str]"]
Logs = dict[str, float]

_COMPILE: dict[str, tuple[Any, ...]] = {
    "loss_weights": (None,),
    "weighted_metrics": (None, []),
    "run_eagerly": (False, None),
    "steps_per_execution": (1, None),
    "jit_compile": ("auto", True, False, None),
    "auto_scale_loss": (True, False),
}
_FIT: dict[str, tuple[Any, ...]] = {
    "steps_per_epoch": (None,),
    "validation_steps": (None,),
    "validation_batch_size": (None,),
    "validation_freq": (1,),
}
_EVALUATE: dict[str, tuple[Any, ...]] = {"steps": (None,), "callbacks": (None, [])}


class Sequential:
    """A model of layers in a row, with Keras's methods.

    `x` is a numpy array or list of any type and stride: strings [B] for Text, tokens [B, T] for Embedding, else numbers
    [B, ...]. Sequences of different length: a list of arrays, or `lengths` [B], or `mask` [B, T], false for padding.
    A model whose input shape is not known is built by the first data it sees. Any number of threads may `predict` and
    `evaluate` at once; everything else needs the model to itself.

    Copying and pickling keep weights, vocabulary and training state.
    """

    def __init__(
        self,
        layers: Iterable[Layer | Input] | None = None,
        name: str | None = None,
        *,
        seed: int = 0,
        activations: str = "exact",
    ) -> None:
        """`seed` determines the first weights, dropout and the order of the samples.

        `activations` says how sigmoid and tanh are computed: "exact" to 2 units in the last place, "fast" to 5.
        """
        self.name = name or "sequential"
        self.seed = whole("seed", seed, 0, 2**53)
        if activations not in ("exact", "fast"):
            raise ValueError(f"activations: expected 'exact' or 'fast', got {activations!r}")
        self.activations = activations
        self.layers: list[Layer] = []
        self.stop_training = False
        self.history: History | None = None
        self._input_shape: tuple[int | None, ...] | None = None
        self._training: dict[str, Any] | None = None
        self._handle: Handle | None = None
        self._own_trainer: Trainer | None = None
        if isinstance(layers, (Layer, Input)):
            raise TypeError(f"Sequential: expected a list of layers, got {layers!r}")
        for layer in layers or ():
            self.add(layer)

    # Building

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

    def _append(self, layer: Layer) -> None:
        taken = {other.name for other in self.layers}
        names = [layer.type, *(f"{layer.type}_{number}" for number in range(1, len(taken) + 1))]
        layer.attach(self, layer.name or next(name for name in names if name not in taken))
        if not self.layers and layer.input_shape is not None:
            self._input_shape = layer.input_shape
        self.layers.append(layer)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index. ValueError: there is none."""
        found = self.layers[index : index + 1] if index is not None else [la for la in self.layers if la.name == name]
        if not found:
            raise ValueError(f"get_layer: no layer {name if index is None else index!r} in {self!r}")
        return found[0]

    @property
    def built(self) -> bool:
        """Whether the model has weights."""
        return self._handle is not None

    @property
    def handle(self) -> Handle:
        """The C model. ValueError: it is not built, and its input shape is not known."""
        if self._handle is None:
            self._handle = self._create(self._input_shape)
        return self._handle

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Makes the weights. `input_shape` [B, ...] is needed if no layer tells it. ValueError: a wrong field."""
        if self._handle is None:
            shape = self._input_shape if input_shape is None else tuple(input_shape)[1:]
            self._handle, self._input_shape = self._create(shape), shape

    def _create(self, input_shape: Sequence[int | None] | None) -> Handle:
        if input_shape is None and self._first not in ("text", "embedding"):
            raise ValueError(
                f"model {self.name!r} is not built: give the first layer an input_shape, or start with Input, or "
                "build, adapt or fit it first"
            )
        description: dict[str, Any] = {"name": self.name, "seed": self.seed, "activations": self.activations}
        if input_shape is not None and self._first != "text":
            description["input_shape"] = input_shape
        description["layers"] = [layer.describe() for layer in self.layers]
        if self._training is not None:
            description["training"] = self._training
        return Handle(lstm_model, library.lstm_create, library.lstm_free, encode(description), None)

    @property
    def _first(self) -> str | None:
        """The type of the first layer."""
        return self.layers[0].type if self.layers else None

    @property
    def _knows_its_input(self) -> bool:
        return self.built or self._input_shape is not None or self._first in ("text", "embedding")

    def _borrow(self, x: Any, lengths: Any = None, mask: Any = None) -> Borrowed:
        """The array of `x`; a model that is not built takes its shape: any number of steps, that many features."""
        if self._first == "text" and isinstance(x, (list, tuple)) and not x:
            x = np.array([], str)
        borrowed = Borrowed("x", x, lengths, mask)
        if not self._knows_its_input:
            self.build((None, *[None] * (len(borrowed.shape) - 2), borrowed.shape[-1]))
        return borrowed

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Sequence[Any] | None = None, **keras: Any
    ) -> None:
        """Sets what training minimises: names, or objects of lstm.optimizers, lstm.losses and lstm.metrics.

        Forgets all state of an earlier optimizer. ValueError: an unknown name or a field out of range.
        """
        refuse("compile", keras, _COMPILE)
        if isinstance(metrics, str) or not isinstance(metrics, (list, tuple, type(None))):
            raise TypeError(f"compile: metrics must be a list, got {type(metrics).__name__} {metrics!r}")
        training = {
            "loss": named(loss, losses.ALIASES),
            "optimizer": named(optimizer, optimizers.ALIASES),
            "metrics": [named(metric, _METRICS) for metric in metrics or ()],
        }
        text = encode(training)
        if self._knows_its_input:
            handle = self.handle
            self._release_trainer()
            check(library.lstm_compile(handle, text))
        self._training = training

    def adapt(self, x: Any, *, lengths: Any = None, mask: Any = None) -> None:
        """Learns the vocabulary of Text and the mean and deviation of Normalize layers from x, each time anew."""
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
        *,
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
        the weights. `threads` is how many work at once, 0 as many as help; it changes no bit of a result.
        DivergedError: the loss is no longer finite; the weights are those of the beginning of that epoch.
        """
        refuse("fit", keras, _FIT)
        xs, ys = self._borrow(x, lengths, mask), Borrowed("y", y)
        first = whole("initial_epoch", initial_epoch)
        last = whole("epochs", epochs, first)
        called = check_callbacks(callbacks)
        options = Options(batch_size, threads)
        options.struct.epochs = last - first
        options.shuffle(shuffle)
        options.validate(validation_split, validation_data, validation_lengths, validation_mask)
        options.weigh(sample_weight, class_weight, ys)
        options.stop_early(called, first)
        samples = math.floor(xs.shape[0] * (1 - options.struct.validation_split))
        batches = math.ceil(samples / options.struct.batch_size)
        run = Run(self, called, {"verbose": verbose, "epochs": last, "steps": batches}, first)
        self._release_trainer()
        self.stop_training, self.history = False, run.history
        if last > first:
            run.train(xs, ys, options.struct)
        return run.history

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
        xs, ys = self._borrow(x, lengths, mask), Borrowed("y", y)
        logs = {}
        if self._training and self._training["metrics"]:
            logs = self._evaluate(xs, ys, Options(), sample_weight)
        if self._own_trainer is None:
            self._own_trainer = Trainer(self)
        logs["loss"] = self._own_trainer.step_borrowed(xs, ys, sample_weight, class_weight)
        return _keras_result(logs, return_dict)

    def trainer(self, threads: int = 0) -> Trainer:
        """A Trainer, to write one's own loop. ValueError: the model is not compiled, or another trainer is open."""
        self._release_trainer()
        return Trainer(self, threads)

    def _release_trainer(self) -> None:
        if self._own_trainer is not None:
            self._own_trainer.close()
            self._own_trainer = None

    @property
    def learning_rate(self) -> float:
        """The learning rate from the next step on. ValueError: the model is not compiled."""
        with self.trainer() as trainer:
            return trainer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        with self.trainer() as trainer:
            trainer.learning_rate = rate

    # Evaluation, prediction, streaming

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
        *,
        lengths: Any = None,
        mask: Any = None,
        threads: int = 0,
        **keras: Any,
    ) -> float | list[float] | Logs:
        """Loss and metrics without dropout: a list, with return_dict a dict, without metrics the loss alone."""
        refuse("evaluate", keras, _EVALUATE)
        begin, shown = time.monotonic(), style(verbose)
        xs = self._borrow(x, lengths, mask)
        logs = self._evaluate(xs, Borrowed("y", y), Options(batch_size, threads), sample_weight)
        if shown:
            print(f"{xs.shape[0]} samples  {time.monotonic() - begin:.1f}s  {figures(logs)}", flush=True)
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
        xs, ys, count = self._borrow(x, lengths, mask), Borrowed("y", y), c_size_t()
        arguments = (self.handle, xs.struct, ys.struct, Options(batch_size, threads).struct)
        check(library.lstm_confusion_matrix(*arguments, None, 0, byref(count)))
        counts = np.empty((math.isqrt(count.value),) * 2, np.int64)
        check(library.lstm_confusion_matrix(*arguments, pointer(counts, c_int64), counts.size, None))
        return counts

    def _evaluate(self, x: Borrowed, y: Borrowed, options: Options, sample_weight: Any) -> Logs:
        options.weigh(sample_weight)
        values, history = (c_double * LSTM_MAX_COLUMNS)(), lstm_history()
        check(library.lstm_history_init(history, sizeof(history), values, 1))
        check(library.lstm_evaluate(self.handle, x.struct, y.struct, options.struct, history))
        return {history.names[i].decode(): values[i] for i in range(history.columns)}

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
    ) -> Floats:
        """The outputs for all samples of x. A row's bits depend neither on other rows nor on batch size or padding.

        Silent unless `verbose` is 1 or 2.
        """
        refuse("predict", keras, _EVALUATE)
        begin, shown = time.monotonic(), style(verbose) if verbose != "auto" else 0
        xs = self._borrow(x, lengths, mask)
        y, options = outputs(output_shape(self.handle, xs)), Options(batch_size, threads).struct
        check(library.lstm_predict(self.handle, xs.struct, options, pointer(y), y.size, None))
        if shown:
            print(f"{xs.shape[0]} samples  {time.monotonic() - begin:.1f}s", flush=True)
        return y

    def predict_on_batch(self, x: Any) -> Floats:
        """`predict` on one batch."""
        return self.predict(x)

    def __call__(self, x: Any, *, mask: Any = None) -> Floats:
        """`predict(x)`."""
        return self.predict(x, mask=mask)

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

    def compress(self, weights: str) -> Sequential:
        """A second model for prediction and streaming alone, with weights rounded to "bfloat16" or "int8".

        It cannot be trained, compiled, adapted or evaluated (UnsupportedError). ValueError: the model is not built.
        """
        formats = {"bfloat16": LSTM_BF16, "int8": LSTM_INT8}
        if weights not in formats:
            raise ValueError(f"weights: expected 'bfloat16' or 'int8', got {weights!r}")
        return _adopt(Handle(lstm_model, library.lstm_compress, library.lstm_free, self.handle, formats[weights]))

    # Files

    def save(self, filepath: Path, *, save_weights_only: bool = False) -> None:
        """Saves weights, description and training state to a safetensors file, at once or not at all. OSError: cannot.

        `save_weights_only` leaves out the optimizer's state: smaller, but training starts afresh.
        """
        flags = LSTM_SAVE_WEIGHTS_ONLY if save_weights_only else 0
        check(library.lstm_save(self.handle, _path(filepath), flags))

    def save_weights(self, filepath: Path) -> None:
        """`save` with `save_weights_only`."""
        self.save(filepath, save_weights_only=True)

    def load_weights(self, filepath: Path) -> None:
        """Sets the weights to those of a saved model with the same layers. ValueError: the layers differ."""
        self.set_weights(load_model(filepath).get_weights())

    def to_bytes(self, *, save_weights_only: bool = False) -> bytes:
        """What `save` writes to a file."""
        flags = LSTM_SAVE_WEIGHTS_ONLY if save_weights_only else 0
        return characters(library.lstm_save_buffer, self.handle, flags)

    # Copies

    def _state(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_own_trainer": None, "history": None}

    def _restore(self, state: dict[str, Any], handle: Handle | None) -> None:
        self.__dict__.update(state, _handle=handle)
        for layer in self.layers:
            layer.attach(self, layer.name or layer.type)

    def __getstate__(self) -> dict[str, Any]:
        return {**self._state(), "_handle": self.to_bytes() if self.built else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        data = state.pop("_handle")
        self._restore(state, None if data is None else _load_buffer(data))

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        twin = memo[id(self)] = type(self).__new__(type(self))
        handle = None
        if self._handle is not None:
            handle = Handle(lstm_model, library.lstm_clone, library.lstm_free, self._handle)
        twin._restore(copy.deepcopy(self._state(), memo), handle)
        return twin

    def __copy__(self) -> Sequential:
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"<Sequential {self.name!r}: {', '.join(map(repr, self.layers))}>"


_METRICS = metrics.ALIASES


def load_model(filepath: Path) -> Sequential:
    """Opens a saved model. OSError: no such file; FormatError: no model, damaged, or of a newer version."""
    return _adopt(Handle(lstm_model, library.lstm_load, library.lstm_free, _path(filepath), None))


def from_bytes(data: bytes) -> Sequential:
    """The model of `Sequential.to_bytes`. FormatError: no model, damaged, or of a newer version."""
    return _adopt(_load_buffer(data))


def _load_buffer(data: bytes) -> Handle:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data: expected bytes, got {type(data).__name__}")
    buffer = np.frombuffer(data, np.uint8)
    arguments = (buffer.ctypes.data, buffer.size, None)
    return Handle(lstm_model, library.lstm_load_buffer, library.lstm_free, *arguments)


def _adopt(handle: Handle) -> Sequential:
    """The Sequential of a C model."""
    description = json.loads(characters(library.lstm_describe, handle)[:-1])
    model = Sequential(
        map(layers.restore, description["layers"]),
        description["name"],
        seed=description["seed"],
        activations=description["activations"],
    )
    shape = description.get("input_shape")
    model._input_shape = None if shape is None else tuple(shape)
    model._training, model._handle = description.get("training"), handle
    return model


def _path(filepath: Path) -> bytes:
    path = os.fsencode(filepath)
    if b"\0" in path:
        raise ValueError(f"filepath: expected a path without zero characters, got {filepath!r}")
    return path


def _keras_result(logs: Logs, as_dict: bool) -> float | list[float] | Logs:
    """What Keras returns: a dict, or the values with the loss first, or the loss if it is alone."""
    ordered = {"loss": logs["loss"], **logs}
    if as_dict:
        return ordered
    return list(ordered.values()) if len(ordered) > 1 else ordered["loss"]
