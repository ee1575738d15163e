"""OpenVINO: the latency hint, float32 unless the tier says bf16, buffers shared with numpy, state inside the model."""

# ruff: noqa: E402

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import cycle

# It would tell its maker of this run, from a fork of a process that has threads.
sys.modules["openvino_telemetry"] = None

import numpy as np
import onnx_models
import openvino as ov
from jobs import Job
from openvino._offline_transformations import apply_make_stateful_transformation
from workloads import Workload


def version() -> str:
    return f"OpenVINO {ov.get_version().split('-')[0]}"


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    if workload.kind == "predict":
        return {"bound": partial(predict, workload, tier)}
    return {"stateful": partial(stream, workload, tier)}


def request(workload: Workload, tier: str, state: dict[str, str]) -> ov.InferRequest:
    core = ov.Core()
    model = core.read_model(model=onnx_models.model(workload).SerializeToString(), weights=b"")
    if state:
        apply_make_stateful_transformation(model, state)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": tier or "f32",
        "INFERENCE_NUM_THREADS": workload.threads,
    }
    return core.compile_model(model, "CPU", settings).create_infer_request()


def time_major(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.swapaxes(0, 1))


def predict(workload: Workload, tier: str) -> Job:
    one = request(workload, tier, {})
    data = [ov.Tensor(time_major(x), shared_memory=True) for x, _ in workload.batches]
    turns = cycle(data)

    def run() -> None:
        one.set_tensor("x", next(turns))
        one.infer()

    def result() -> list[np.ndarray]:
        one.set_tensor("x", data[0])
        one.infer()
        return [one.get_tensor("y").data.copy()]

    return Job(run, result)


def stream(workload: Workload, tier: str) -> Job:
    one = request(workload, tier, {"h": "h_next", "c": "c_next"})
    samples = time_major(workload.batches[0][0])
    x = samples[:1].copy()
    one.set_tensor("x", ov.Tensor(x, shared_memory=True))

    def result() -> list[np.ndarray]:
        for variable in one.query_state():
            variable.reset()
        rows = []
        for sample in samples:
            x[0] = sample
            one.infer()
            rows.append(one.get_tensor("y").data.copy())
        return [np.stack(rows)]

    return Job(one.infer, result)
