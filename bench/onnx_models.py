"""The workloads that predict as ONNX models, for ONNX Runtime and OpenVINO. Gates: ONNX has i o f c and z r h."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from workloads import Dense, Embedding, Recurrent, Workload

OPSET = 17


def gates(kernel: np.ndarray, cell: str) -> np.ndarray:
    """[..., gates of Keras] -> [1, gates of ONNX, ...]."""
    if cell == "lstm":
        i, f, g, o = np.split(kernel, 4, -1)
        kernel = np.concatenate([i, o, f, g], -1)
    return np.ascontiguousarray(kernel.T[np.newaxis])


def model(workload: Workload) -> onnx.ModelProto:
    """Input x [T, B, F] (tokens [T, B]), output y. A stream's model has one step, and h and c [1, B, H] in and out."""
    streaming = workload.kind in ("stream", "streams")
    steps, batch = 1 if streaming else workload.timesteps, workload.batch
    nodes, constants, arrays = [], [], iter(workload.weights)

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    value, inputs, outputs = "x", [], []
    for index, layer in enumerate(workload.layers):
        name = f"layer{index}"
        if isinstance(layer, Embedding):
            nodes.append(helper.make_node("Gather", [constant(f"{name}.weights", next(arrays)), value], [name]))
        elif isinstance(layer, Dense):
            weights, bias = constant(f"{name}.kernel", next(arrays)), constant(f"{name}.bias", next(arrays))
            nodes.append(helper.make_node("Gemm", [value, weights, bias], [name]))
            if layer.activation == "sigmoid":
                nodes.append(helper.make_node("Sigmoid", [name], [f"{name}.active"]))
                name = f"{name}.active"
        else:
            nodes += _recurrent(layer, name, value, constant, [next(arrays) for _ in range(3)], streaming)
            if streaming:
                shape = [1, batch, layer.units]
                for one in ("h", "c"):
                    inputs.append(helper.make_tensor_value_info(one, TensorProto.FLOAT, shape))
                    outputs.append(helper.make_tensor_value_info(f"{one}_next", TensorProto.FLOAT, shape))
        value = name
    nodes.append(helper.make_node("Identity", [value], ["y"]))
    tokens = isinstance(workload.layers[0], Embedding)
    x = helper.make_tensor_value_info(
        "x",
        TensorProto.INT32 if tokens else TensorProto.FLOAT,
        [steps, batch] if tokens else [steps, batch, workload.inputs],
    )
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, workload.layers[-1].outputs])
    graph = helper.make_graph(nodes, workload.name, [x, *inputs], [y, *outputs], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def _recurrent(
    layer: Recurrent, name: str, value: str, constant: object, arrays: list[np.ndarray], streaming: bool
) -> list[onnx.NodeProto]:
    """One direction whose last h [B, H] is asked for."""
    kernel, recurrent, bias = arrays
    biases = np.concatenate([gates(bias, "lstm"), np.zeros((1, bias.size), np.float32)], -1)
    fed = [
        value,
        constant(f"{name}.W", gates(kernel, layer.cell)),
        constant(f"{name}.R", gates(recurrent, layer.cell)),
        constant(f"{name}.B", biases),
    ]
    fed += ["", "h", "c"] if streaming else []
    last = "h_next" if streaming else f"{name}.h"
    given = ["", last, "c_next"] if streaming else ["", last]
    return [
        helper.make_node("LSTM", fed, given, hidden_size=layer.units),
        helper.make_node("Squeeze", [last, constant(f"{name}.axis", np.array([0]))], [name]),
    ]
