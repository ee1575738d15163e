"""The workloads: layers, shapes, data and first weights, and the arithmetic that they ask for.

Nothing here knows a library. Weights are a flat list of arrays in Keras's order and layouts: embedding [V, U]; lstm
kernel [I, 4 H], recurrent kernel [H, 4 H], bias [4 H], gates i f g o; gru the same with gates z r n and bias [2, 3 H];
a bidirectional layer has those of its forward and then of its backward direction; dense [I, U], [U].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from blocks import LABELS, TAGS, Block

GATES = {"lstm": 4, "gru": 3}
BATCHES = 4


@dataclass(frozen=True)
class Embedding:
    vocabulary: int
    units: int

    @property
    def outputs(self) -> int:
        return self.units


@dataclass(frozen=True)
class Recurrent:
    cell: str
    units: int
    sequences: bool = False
    bidirectional: bool = False

    @property
    def outputs(self) -> int:
        return self.units * (1 + self.bidirectional)


@dataclass(frozen=True)
class Dense:
    """`activation` belongs to the prediction; losses are computed from what comes before it."""

    units: int
    activation: str = "linear"

    @property
    def outputs(self) -> int:
        return self.units


@dataclass(frozen=True)
class Workload:
    """`kind` is train (a step of Adam), predict (a batch), stream (one step of one sequence) or streams (one of each).

    `inputs` is 0 where the first layer is an embedding. With `ragged` the sequences have lengths from 10 to timesteps,
    longest first. A stream has `timesteps` samples that its outputs are compared over.
    """

    name: str
    kind: str
    layers: tuple[Embedding | Recurrent | Dense | Block, ...]
    timesteps: int
    batch: int
    inputs: int = 0
    loss: str = ""
    ragged: bool = False
    threads: int = 2
    tiers: tuple[str, ...] = ()

    @cached_property
    def weights(self) -> list[np.ndarray]:
        random = np.random.default_rng(1)
        arrays, inputs = [], self.inputs
        for layer in self.layers:
            if isinstance(layer, Embedding):
                arrays.append(random.uniform(-0.05, 0.05, (layer.vocabulary, layer.units)))
            elif isinstance(layer, Dense):
                arrays += _dense(random, inputs, layer.units)
            elif isinstance(layer, Block):
                arrays += layer.weights(random, inputs)
            else:
                for _ in range(1 + layer.bidirectional):
                    arrays += _recurrent(random, inputs, layer.cell, layer.units)
            inputs = layer.outputs
        return [array.astype(np.float32) for array in arrays]

    @cached_property
    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """x [B, T, F] or tokens [B, T], and targets, of the batches that are worked on in turn."""
        random = np.random.default_rng(2)
        return [self.batch_from(random) for _ in range(BATCHES)]

    def batch_from(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self._inputs(random), self._targets(random)

    @cached_property
    def lengths(self) -> np.ndarray:
        lengths = np.random.default_rng(3).integers(10, self.timesteps + 1, self.batch)
        lengths[0] = self.timesteps
        return np.sort(lengths)[::-1].copy()

    def _inputs(self, random: np.random.Generator) -> np.ndarray:
        if self.inputs:
            return random.standard_normal((self.batch, self.timesteps, self.inputs), np.float32)
        return random.integers(0, self.layers[0].vocabulary, (self.batch, self.timesteps), np.int32)

    def _targets(self, random: np.random.Generator) -> np.ndarray:
        if self.loss == "crf":
            return random.integers(0, TAGS, (self.batch, self.timesteps), np.int32)
        if self.loss == "ctc":
            return random.integers(1, TAGS, (self.batch, LABELS), np.int32)
        last = self.layers[-1]
        steps = (self.timesteps,) if self.layers[-2:][0].sequences else ()
        if self.loss == "sparse_categorical_crossentropy":
            return random.integers(0, last.units, (self.batch, *steps), np.int32)
        if self.loss == "binary_crossentropy":
            return random.integers(0, 2, (self.batch, 1)).astype(np.float32)
        return random.standard_normal((self.batch, *steps, last.outputs), np.float32)

    @cached_property
    def steps(self) -> int:
        """Timesteps of all rows that are no padding, in one unit of work."""
        if self.kind in ("stream", "streams"):
            return self.batch
        return int(self.lengths.sum()) if self.ragged else self.batch * self.timesteps

    @cached_property
    def flops(self) -> float:
        """Of the matrix products that one unit of work cannot do without: in training three for each weight matrix,
        but two for those that read the samples, whose gradient nobody asks for. Additions count as operations."""
        total, inputs, sequences = 0.0, self.inputs, True
        training = self.kind == "train"
        for index, layer in enumerate(self.layers):
            steps = self.steps if sequences else self.batch
            products = (3 if index else 2) if training else 1
            if isinstance(layer, Dense):
                total += 2 * products * steps * inputs * layer.units
            elif isinstance(layer, Block):
                total += layer.flops(inputs, steps, self.timesteps, products, training)
            elif isinstance(layer, Recurrent):
                gates = GATES[layer.cell] * layer.outputs
                recurrent = 3 if training else 1
                total += 2 * steps * gates * (products * inputs + recurrent * layer.units)
                sequences = layer.sequences
            inputs = layer.outputs
        return total

    @property
    def weight_bytes(self) -> int:
        return sum(array.nbytes for array in self.weights)


def _dense(random: np.random.Generator, inputs: int, units: int) -> list[np.ndarray]:
    limit = np.sqrt(6 / (inputs + units))
    return [random.uniform(-limit, limit, (inputs, units)), random.uniform(-0.1, 0.1, units)]


def _recurrent(random: np.random.Generator, inputs: int, cell: str, units: int) -> list[np.ndarray]:
    columns = GATES[cell] * units
    limit = np.sqrt(6 / (inputs + columns))
    bias = random.uniform(-0.1, 0.1, (2, columns) if cell == "gru" else columns)
    if cell == "lstm":
        bias[units : 2 * units] += 1
    kernel = random.uniform(-limit, limit, (inputs, columns))
    return [kernel, random.standard_normal((units, columns)) / np.sqrt(units), bias]


def _stream(units: int, inputs: int, outputs: int, **other: object) -> Workload:
    layers = (Recurrent("lstm", units), Dense(outputs))
    return Workload(f"stream-{units}", "stream", layers, timesteps=64, batch=1, inputs=inputs, threads=1, **other)


_HELLO = (Embedding(10000, 16), Recurrent("lstm", 32), Dense(1, "sigmoid"))
_FORECAST = (Recurrent("lstm", 64, sequences=True), Recurrent("lstm", 64), Dense(24))
_CLASSES = "sparse_categorical_crossentropy"

WORKLOADS = {
    one.name: one
    for one in (
        Workload("hello-train", "train", _HELLO, timesteps=120, batch=32, loss="binary_crossentropy"),
        Workload("hello-predict", "predict", _HELLO, timesteps=120, batch=32),
        Workload("forecast-train", "train", _FORECAST, timesteps=96, batch=64, inputs=7, loss="mse"),
        Workload("ragged-train", "train", _FORECAST, timesteps=96, batch=64, inputs=7, loss="mse", ragged=True),
        Workload(
            "charlm-train",
            "train",
            (
                Embedding(96, 64),
                Recurrent("lstm", 512, sequences=True),
                Recurrent("lstm", 512, sequences=True),
                Dense(96, "softmax"),
            ),
            timesteps=100,
            batch=64,
            loss=_CLASSES,
        ),
        Workload("wide-train", "train", (Recurrent("lstm", 1024),), timesteps=64, batch=64, inputs=1024, loss="mse"),
        Workload("wide-predict", "predict", (Recurrent("lstm", 1024),), timesteps=64, batch=64, inputs=1024),
        Workload(
            "speech-train",
            "train",
            (
                Recurrent("lstm", 256, sequences=True, bidirectional=True),
                Recurrent("lstm", 256, sequences=True, bidirectional=True),
                Dense(40, "softmax"),
            ),
            timesteps=300,
            batch=16,
            inputs=40,
            loss=_CLASSES,
        ),
        Workload(
            "gru-train",
            "train",
            (Recurrent("gru", 256), Dense(10, "softmax")),
            timesteps=128,
            batch=32,
            inputs=128,
            loss=_CLASSES,
        ),
        Workload(
            "single-predict",
            "predict",
            (Recurrent("lstm", 512),),
            timesteps=256,
            batch=1,
            inputs=128,
            tiers=("bf16", "int8"),
        ),
        _stream(16, inputs=1, outputs=1),
        _stream(64, inputs=1, outputs=1, tiers=("bf16", "int8")),
        _stream(256, inputs=64, outputs=10, tiers=("bf16", "int8")),
        _stream(1024, inputs=256, outputs=10, tiers=("bf16", "int8")),
        Workload("streams-1000", "streams", (Recurrent("lstm", 128), Dense(1)), timesteps=16, batch=1000, inputs=1),
    )
}
