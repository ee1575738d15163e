"""ONNX Runtime: all graph optimisations, called plainly or with bound buffers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle

import numpy as np
import onnx_models
import onnxruntime as ort
from jobs import Job
from workloads import Workload


def version() -> str:
    return f"ONNX Runtime {ort.__version__}"


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    if workload.kind == "predict":
        return {"run": partial(predict, workload, False), "bound": partial(predict, workload, True)}
    return {"run": partial(stream, workload, False), "bound": partial(stream, workload, True)}


def session(workload: Workload) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = workload.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = onnx_models.model(workload).SerializeToString()
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def time_major(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.swapaxes(0, 1))


def bind(made: ort.InferenceSession, given: dict[str, ort.OrtValue], taken: dict[str, ort.OrtValue]) -> ort.IOBinding:
    binding = made.io_binding()
    for name, value in given.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in taken.items():
        binding.bind_ortvalue_output(name, value)
    return binding


def predict(workload: Workload, bound: bool) -> Job:
    made = session(workload)
    data = [time_major(x) for x, _ in workload.batches]
    values = [ort.OrtValue.ortvalue_from_numpy(x) for x in data]
    y = ort.OrtValue.ortvalue_from_numpy(np.zeros((workload.batch, workload.layers[-1].outputs), np.float32))
    if bound:
        turns = cycle([bind(made, {"x": x}, {"y": y}) for x in values])
        return Job(lambda: made.run_with_iobinding(next(turns)), lambda: [made.run(["y"], {"x": data[0]})[0]])
    feeds = cycle([{"x": x} for x in data])
    return Job(lambda: made.run(["y"], next(feeds)), lambda: [made.run(["y"], {"x": data[0]})[0]])


def stream(workload: Workload, bound: bool) -> Job:
    made = session(workload)
    samples = time_major(workload.batches[0][0])
    shape = (1, workload.batch, workload.layers[0].units)
    x, names = samples[:1], ["y", "h_next", "c_next"]

    def result() -> list[np.ndarray]:
        h = c = np.zeros(shape, np.float32)
        rows = []
        for step in range(workload.timesteps):
            y, h, c = made.run(names, {"x": samples[step : step + 1], "h": h, "c": c})
            rows.append(y)
        return [np.stack(rows)]

    if not bound:
        state = [np.zeros(shape, np.float32), np.zeros(shape, np.float32)]

        def run() -> None:
            _, state[0], state[1] = made.run(names, {"x": x, "h": state[0], "c": state[1]})

        return Job(run, result)
    value = ort.OrtValue.ortvalue_from_numpy
    h0, c0, h1, c1 = (value(np.zeros(shape, np.float32)) for _ in range(4))
    y = value(np.zeros((workload.batch, workload.layers[-1].outputs), np.float32))
    there = bind(made, {"x": value(x), "h": h0, "c": c0}, {"y": y, "h_next": h1, "c_next": c1})
    back = bind(made, {"x": value(x), "h": h1, "c": c1}, {"y": y, "h_next": h0, "c_next": c0})
    turns = cycle([there, back])
    return Job(lambda: made.run_with_iobinding(next(turns)), result)
