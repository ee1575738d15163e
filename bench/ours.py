"""liblstm: a step of a trainer, a predictor, and streams driven from C (streams.c) and from Python.

Tiers: "" is float32; "bf16" and "int8" are compressed weights; "python" steps a stream from Python; "two threads" lets
a stream keep a second one; "block" gives a stream all its samples in one call; "one by one" steps many streams in turn;
"one thread" trains on one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
from blocks import Block
from jobs import BETA_1, BETA_2, EPSILON, LEARNING_RATE, Job, NotYet
from workloads import WORKLOADS, Embedding, Recurrent, Workload

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/bench"
sys.path.append(str(ROOT / "bindings/python"))

import lstm  # noqa: E402
from lstm import layers  # noqa: E402
from lstm.optimizers import Adam  # noqa: E402

COMPRESSED = {"bf16": "bfloat16", "int8": "int8"}
# Of streams.c, for one stream.
MODES = {"block": "block", "one by one": "each"}


def version() -> str:
    return f"liblstm {lstm.__version__}"


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    if workload.kind == "train":
        return {"trainer": partial(train, workload, 1 if tier == "one thread" else 0)}
    if workload.kind == "predict":
        return {"predictor" if hasattr(lstm, "Predictor") else "predict": partial(predict, workload, tier)}
    if tier == "python":
        return {"step": partial(stream_from_python, workload)}
    return {"C": partial(stream_from_c, workload, tier)}


def _recurrent(layer: Recurrent) -> layers.Layer:
    if not hasattr(layers, layer.cell.upper()):
        raise NotYet(f"no {layer.cell}")
    one = getattr(layers, layer.cell.upper())(layer.units, return_sequences=layer.sequences)
    if not layer.bidirectional:
        return one
    if not hasattr(layers, "Bidirectional"):
        raise NotYet("no bidirectional layer")
    return layers.Bidirectional(one)


def model(workload: Workload) -> lstm.Sequential:
    made = untrained(workload)
    made.set_weights(workload.weights)
    return made


def untrained(workload: Workload) -> lstm.Sequential:
    made = lstm.Sequential()
    if workload.inputs:
        made.add(layers.Input((None, workload.inputs)))
    for layer in workload.layers:
        if isinstance(layer, Embedding):
            made.add(layers.Embedding(layer.vocabulary, layer.units))
        elif isinstance(layer, Recurrent):
            made.add(_recurrent(layer))
        elif isinstance(layer, Block):
            made.add(layers.restore(dict(layer.fields)))
        else:
            made.add(layers.Dense(layer.units, layer.activation))
    made.build()
    return made


def compressed(made: lstm.Sequential, tier: str) -> lstm.Sequential:
    if tier not in COMPRESSED:
        return made
    if not hasattr(made, "compress"):
        raise NotYet(f"no {tier} weights")
    return made.compress(COMPRESSED[tier])


def train(workload: Workload, threads: int) -> Job:
    made = model(workload)
    data = [(x, y) for x, y in workload.batches]
    lengths = {"lengths": workload.lengths} if workload.ragged else {}
    options = {"threads": threads} if threads else {}
    state: dict[str, object] = {}

    def begin() -> None:
        if "trainer" in state:
            state["trainer"].close()
        made.compile(optimizer=Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON), loss=workload.loss)
        made.set_weights(workload.weights)
        try:
            state["trainer"] = made.trainer(**options)
        except TypeError:
            raise NotYet("no choice of threads") from None
        state["step"] = 0

    def step() -> float:
        x, y = data[state["step"] % len(data)]
        state["step"] += 1
        return state["trainer"].step(x, y, **lengths)

    def result() -> list[np.ndarray]:
        begin()
        return [np.float32(step()), *made.get_weights()]

    def note() -> dict[str, float]:
        """Seconds of a step inside one call of fit over enough batches for half a second."""
        begin_time = time.perf_counter()
        step()
        once = time.perf_counter() - begin_time
        state["trainer"].close()
        repeats = max(1, round(0.5 / once / len(data)))
        x, y = (np.concatenate([pair[side] for pair in data] * repeats) for side in (0, 1))
        more = {"lengths": np.tile(workload.lengths, len(data) * repeats)} if workload.ragged else {}
        begin_time = time.perf_counter()
        made.fit(x, y, batch_size=workload.batch, verbose=0, **more)
        return {"fit": (time.perf_counter() - begin_time) / (len(data) * repeats)}

    begin()
    return Job(step, result, note=note, close=lambda: state["trainer"].close())


def predict(workload: Workload, tier: str) -> Job:
    made = compressed(model(workload), tier)
    data = [x for x, _ in workload.batches]
    turns = cycle(data)
    if not hasattr(lstm, "Predictor"):
        return Job(lambda: made.predict(next(turns)), lambda: [made.predict(data[0])])
    predictor = made.predictor()
    y = predictor.run(data[0])
    return Job(lambda: predictor.run(next(turns), y), lambda: [predictor.run(data[0])], close=predictor.close)


def stream_from_python(workload: Workload) -> Job:
    stream = model(workload).stream()
    step, x, y = stream.step, stream.x, stream.y

    def result() -> list[np.ndarray]:
        stream.reset()
        return [np.stack([step(row).copy() for row in workload.batches[0][0][0]])[:, np.newaxis]]

    return Job(lambda: step(x, y), result, close=stream.close)


def stream_from_c(workload: Workload, tier: str) -> Job:
    """The program built from streams.c, which works on the model's file."""
    mode = MODES.get(tier, "step")
    if workload.kind == "streams" and mode == "step":
        mode = "together"
    if (mode == "together" and not hasattr(lstm, "step_streams")) or (
        tier == "two threads" and not hasattr(lstm.Stream, "set_threads")
    ):
        raise NotYet(f"no {tier or 'streams stepped together'}")
    folder = BUILD / "models"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{workload.name} {tier}".strip().replace(" ", "-")
    file, x, y = (folder / f"{name}{end}" for end in (".safetensors", ".x", ".y"))
    compressed(model(workload), tier).save(file)
    time_major = workload.batches[0][0].swapaxes(0, 1)
    np.ascontiguousarray(time_major, np.float32).tofile(x)
    threads = 2 if tier == "two threads" else 0 if mode == "together" else 1

    def call(seconds: float) -> dict[str, float]:
        program = [BUILD / "streams", mode, file, x, y, workload.timesteps, workload.batch, threads, seconds]
        done = subprocess.run([str(one) for one in program], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def result() -> list[np.ndarray]:
        call(0)
        return [np.fromfile(y, np.float32).reshape(workload.timesteps, workload.batch, -1)]

    return Job(None, result, figures=call)


class Regular:
    """Stands for numpy's generator, which is 6 MB by itself, where the numbers do not matter."""

    def integers(self, low: int, high: int, shape: tuple[int, ...], kind: type = np.int64) -> np.ndarray:
        return np.resize(np.arange(low, high, dtype=kind), shape)

    def standard_normal(self, shape: tuple[int, ...], kind: type = np.float64) -> np.ndarray:
        return np.resize(np.linspace(-2, 2, 1001, dtype=kind), shape)


def memory(name: str) -> dict[str, float]:
    """Megabytes of this process at most, in training, and what it had before the model was made; then what cannot be
    avoided: parameters four times (themselves, their gradient and Adam's two moments) and the activations of a step,
    which are gates, c and h of every unit of a recurrent layer, and the outputs of the others."""

    def now(key: str) -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split(key)[1].split()[0]) / 1024

    workload = WORKLOADS[name]
    x, y = workload.batch_from(Regular())
    before = now("VmRSS:")
    made = untrained(workload)
    made.compile(optimizer=Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON), loss=workload.loss)
    with made.trainer() as trainer:
        for _ in range(5):
            trainer.step(x, y)
    kept = sum(layer.outputs * (6 if isinstance(layer, Recurrent) else 1) for layer in workload.layers)
    return {
        "peak": now("VmHWM:"),
        "before": before,
        "parameters": 4 * 4 * made.count_params() / 2**20,
        "activations": 4 * workload.steps * kept / 2**20,
    }


if __name__ == "__main__":
    print(json.dumps(memory(sys.argv[1])))
