"""JAX: a whole step in one jit with donated buffers, the input products before the scan, which is unrolled or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jobs import BETA_1, BETA_2, EPSILON, LEARNING_RATE, Job
from workloads import GATES, Dense, Embedding, Workload

Arrays = list[jax.Array]


def version() -> str:
    return f"JAX {jax.__version__}"


def lstm_step(u: jax.Array, carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple, jax.Array]:
    h, c = carry
    i, f, g, o = jnp.split(x + h @ u, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru_step(u: jax.Array, bias: jax.Array, h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    xz, xr, xn = jnp.split(x, 3, axis=-1)
    hz, hr, hn = jnp.split(h @ u + bias, 3, axis=-1)
    z, r = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
    h = z * h + (1 - z) * jnp.tanh(xn + r * hn)
    return h, h


def recurrent(cell: str, weights: Arrays, x: jax.Array, unroll: int, reverse: bool) -> jax.Array:
    w, u, b = weights
    zero = jnp.zeros((x.shape[1], u.shape[0]), x.dtype)
    if cell == "lstm":
        step, start, projected = partial(lstm_step, u), (zero, zero), x @ w + b
    else:
        step, start, projected = partial(gru_step, u, b[1]), zero, x @ w + b[0]
    return lax.scan(step, start, projected, unroll=unroll, reverse=reverse)[1]


def forward(workload: Workload, weights: Arrays, x: jax.Array, unroll: int) -> jax.Array:
    """Time-major [T, B, ...] -> logits."""
    rest = iter(weights)
    for layer in workload.layers:
        if isinstance(layer, Embedding):
            x = jnp.take(next(rest), x, axis=0)
        elif isinstance(layer, Dense):
            x = x @ next(rest) + next(rest)
        else:
            sides = [
                recurrent(layer.cell, [next(rest), next(rest), next(rest)], x, unroll, reverse)
                for reverse in (False, True)[: 1 + layer.bidirectional]
            ]
            x = jnp.concatenate(sides, -1) if layer.bidirectional else sides[0]
            if not layer.sequences:
                ends = jnp.asarray(workload.lengths) - 1 if workload.ragged else -1
                x = x[ends, jnp.arange(x.shape[1])] if workload.ragged else x[ends]
    return x


def loss_of(workload: Workload, weights: Arrays, x: jax.Array, y: jax.Array, unroll: int) -> jax.Array:
    logits = forward(workload, weights, x, unroll)
    if workload.loss == "mse":
        return jnp.mean((logits - y) ** 2)
    if workload.loss == "binary_crossentropy":
        return jnp.mean(jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits))))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1))


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    make = {"train": train, "predict": predict}.get(workload.kind)
    if make is None:
        return {"jit": lambda: stream(workload)}
    return {f"unroll {unroll}": partial(make, workload, unroll) for unroll in (1, 4)}


def time_major(x: np.ndarray) -> jax.Array:
    return jnp.asarray(np.ascontiguousarray(x.swapaxes(0, 1)))


def train(workload: Workload, unroll: int) -> Job:
    classes = workload.loss.startswith("sparse")
    data = [(time_major(x), time_major(y) if classes and y.ndim > 1 else jnp.asarray(y)) for x, y in workload.batches]
    state: dict[str, object] = {}

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(weights: Arrays, m: Arrays, v: Arrays, step: jax.Array, x: jax.Array, y: jax.Array) -> tuple:
        loss, gradients = jax.value_and_grad(lambda weights: loss_of(workload, weights, x, y, unroll))(weights)
        m = [BETA_1 * old + (1 - BETA_1) * g for old, g in zip(m, gradients)]
        v = [BETA_2 * old + (1 - BETA_2) * g * g for old, g in zip(v, gradients)]
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        weights = [p - rate * a / (jnp.sqrt(b) + EPSILON) for p, a, b in zip(weights, m, v)]
        return weights, m, v, loss

    def begin() -> None:
        weights = [jnp.array(array) for array in workload.weights]
        state.update(weights=weights, m=[jnp.zeros_like(w) for w in weights], step=0)
        state["v"] = [jnp.zeros_like(w) for w in weights]

    def step() -> jax.Array:
        x, y = data[state["step"] % len(data)]
        state["step"] += 1
        number = np.float32(state["step"])
        weights, m, v, loss = update(state["weights"], state["m"], state["v"], number, x, y)
        state.update(weights=weights, m=m, v=v)
        return jax.block_until_ready(loss)

    def run() -> None:
        step()
        jax.block_until_ready(state["weights"])

    def result() -> list[np.ndarray]:
        begin()
        return [step(), *state["weights"]]

    begin()
    return Job(run, result)


def predict(workload: Workload, unroll: int) -> Job:
    data = [time_major(x) for x, _ in workload.batches]
    weights = [jnp.asarray(array) for array in workload.weights]
    last = workload.layers[-1]
    sigmoid = isinstance(last, Dense) and last.activation == "sigmoid"
    state = {"step": 0}

    @jax.jit
    def ready(weights: Arrays, x: jax.Array) -> jax.Array:
        logits = forward(workload, weights, x, unroll)
        return jax.nn.sigmoid(logits) if sigmoid else logits

    def run() -> jax.Array:
        state["step"] += 1
        return jax.block_until_ready(ready(weights, data[state["step"] % len(data)]))

    return Job(run, lambda: [np.asarray(ready(weights, data[0]))])


def stream(workload: Workload) -> Job:
    samples = list(time_major(workload.batches[0][0]))
    w, u, b, dense, bias = (jnp.asarray(array) for array in workload.weights)
    units = u.shape[1] // GATES["lstm"]

    @partial(jax.jit, donate_argnums=(0, 1))
    def ready(h: jax.Array, c: jax.Array, x: jax.Array) -> tuple[jax.Array, ...]:
        (h, c), _ = lstm_step(u, (h, c), x @ w + b)
        return h, c, h @ dense + bias

    def zero() -> Arrays:
        return [jnp.zeros((workload.batch, units)), jnp.zeros((workload.batch, units))]

    state = zero()

    def run() -> jax.Array:
        state[0], state[1], y = ready(*state, samples[0])
        return y.block_until_ready()

    def result() -> list[np.ndarray]:
        h, c = zero()
        rows = []
        for x in samples:
            h, c, y = ready(h, c, x)
            rows.append(np.asarray(y))
        return [np.stack(rows)]

    # JAX has no setting for it: its own threads are kept on one processor.
    processors = os.sched_getaffinity(0)
    keep_on(set(sorted(processors)[: workload.threads]))
    return Job(run, result, close=lambda: keep_on(processors))


def keep_on(processors: set[int]) -> None:
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), processors)
