"""Keras on TensorFlow: a whole step in one graph, run by TensorFlow or compiled by XLA."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from jobs import BETA_1, BETA_2, EPSILON, LEARNING_RATE, Job
from workloads import Dense, Embedding, Workload

tf.config.threading.set_intra_op_parallelism_threads(len(os.sched_getaffinity(0)))
tf.config.threading.set_inter_op_parallelism_threads(1)


def version() -> str:
    return f"Keras {keras.__version__} on TensorFlow {tf.__version__}"


def layers(workload: Workload) -> list[keras.Layer]:
    """Logits come out; over ragged rows every step does, and the row's last one is gathered."""
    made: list[keras.Layer] = []
    for layer in workload.layers:
        if isinstance(layer, Embedding):
            made.append(keras.layers.Embedding(layer.vocabulary, layer.units))
        elif isinstance(layer, Dense):
            made.append(keras.layers.Dense(layer.units))
        else:
            cell = keras.layers.LSTM if layer.cell == "lstm" else keras.layers.GRU
            one = cell(layer.units, return_sequences=layer.sequences or workload.ragged)
            made.append(keras.layers.Bidirectional(one) if layer.bidirectional else one)
    return made


class Net:
    def __init__(self, workload: Workload) -> None:
        self.workload, self.layers = workload, layers(workload)
        self(tf.constant(workload.batches[0][0]))
        self.load()

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for layer, made in zip(self.workload.layers, self.layers):
            x = made(x)
            if self.workload.ragged and isinstance(made, keras.layers.RNN) and not layer.sequences:
                x = tf.gather(x, tf.constant(self.workload.lengths - 1), axis=1, batch_dims=1)
        return x

    @property
    def weights(self) -> list[keras.Variable]:
        return [variable for layer in self.layers for variable in layer.trainable_weights]

    def load(self) -> None:
        for variable, array in zip(self.weights, self.workload.weights, strict=True):
            variable.assign(array)


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    make = train if workload.kind == "train" else predict
    return {"graph": partial(make, workload, False), "XLA": partial(make, workload, True)}


def loss_of(workload: Workload, logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    if workload.loss == "mse":
        return tf.reduce_mean(tf.square(logits - y))
    if workload.loss == "binary_crossentropy":
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, logits))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))


def train(workload: Workload, xla: bool) -> Job:
    net = Net(workload)
    optimizer = keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)
    optimizer.build(net.weights)
    data = [(tf.constant(x), tf.constant(y)) for x, y in workload.batches]
    state = {"step": 0}

    @tf.function(jit_compile=xla)
    def update(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(workload, net(x), y)
        gradients = tape.gradient(loss, [variable.value for variable in net.weights])
        # Of an embedding they come as rows, some of them several times, whose squares Adam would take one by one.
        optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients])
        return loss

    def begin() -> None:
        net.load()
        for variable in optimizer.variables:
            variable.assign(LEARNING_RATE if variable is optimizer._learning_rate else np.zeros(variable.shape))
        state["step"] = 0

    def step() -> np.ndarray:
        x, y = data[state["step"] % len(data)]
        state["step"] += 1
        return update(x, y).numpy()

    def result() -> list[np.ndarray]:
        begin()
        return [step(), *(variable.numpy() for variable in net.weights)]

    return Job(step, result)


def predict(workload: Workload, xla: bool) -> Job:
    net = Net(workload)
    data = [tf.constant(x) for x, _ in workload.batches]
    last = workload.layers[-1]
    sigmoid = isinstance(last, Dense) and last.activation == "sigmoid"
    state = {"step": 0}

    @tf.function(jit_compile=xla)
    def ready(x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(net(x)) if sigmoid else net(x)

    def run() -> np.ndarray:
        state["step"] += 1
        return ready(data[state["step"] % len(data)]).numpy()

    return Job(run, lambda: [ready(data[0]).numpy()])
