"""PyTorch: time-major data, oneDNN's LSTM, fused Adam, denormals flushed; eagerly or compiled."""

from __future__ import annotations

import os
from collections.abc import Callable

# Compiled where nothing is trained only: in training the compiler unrolls the loop over time, for minutes.
os.environ["TORCHINDUCTOR_FREEZING"] = "1"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import numpy as np
import peer_torch_family
import torch
from family import FAMILY
from jobs import Job
from peer_torch_training import training
from torch import nn
from workloads import Dense, Embedding, Recurrent, Workload

torch.set_flush_denormal(True)
torch._dynamo.config.allow_rnn = True

LOSSES = {
    "binary_crossentropy": nn.BCEWithLogitsLoss,
    "mse": nn.MSELoss,
    "sparse_categorical_crossentropy": nn.CrossEntropyLoss,
}


def version() -> str:
    return f"PyTorch {torch.__version__}"


def gates(array: np.ndarray, cell: str) -> np.ndarray:
    """The last axis from Keras's order of gates to PyTorch's, and back: z r n and r z n; i f g o both."""
    if cell == "lstm":
        return array
    z, r, n = np.split(array, 3, -1)
    return np.concatenate([r, z, n], -1)


class Net(nn.Module):
    """Time-major [T, B, ...] in; logits out, of the last step of each sequence or of all."""

    def __init__(self, workload: Workload, packed: bool) -> None:
        super().__init__()
        self.workload, self.packed = workload, packed
        self.lengths = torch.from_numpy(workload.lengths) if workload.ragged else None
        self.rows = torch.arange(workload.batch)
        inputs, parts = workload.inputs, []
        for layer in workload.layers:
            if isinstance(layer, Embedding):
                parts.append(nn.Embedding(layer.vocabulary, layer.units))
            elif isinstance(layer, Dense):
                parts.append(nn.Linear(inputs, layer.units))
            else:
                cell = nn.LSTM if layer.cell == "lstm" else nn.GRU
                parts.append(cell(inputs, layer.units, bidirectional=layer.bidirectional))
            inputs = layer.outputs
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed:
            x = nn.utils.rnn.pack_padded_sequence(x, self.lengths)
        for layer, part in zip(self.workload.layers, self.parts):
            if not isinstance(layer, Recurrent):
                x = part(x)
                continue
            x, last = part(x)
            if layer.sequences:
                continue
            if self.lengths is not None and not self.packed:
                x = x[self.lengths - 1, self.rows]
            else:
                x = (last[0] if layer.cell == "lstm" else last)[-1]
        return x

    def load(self) -> None:
        arrays = iter(self.workload.weights)
        with torch.no_grad():
            for layer, part in zip(self.workload.layers, self.parts):
                if isinstance(layer, Embedding):
                    part.weight.copy_(torch.from_numpy(next(arrays)))
                elif isinstance(layer, Dense):
                    part.weight.copy_(torch.from_numpy(next(arrays).T))
                    part.bias.copy_(torch.from_numpy(next(arrays)))
                else:
                    for end in _directions(layer):
                        for name in ("weight_ih", "weight_hh"):
                            array = np.ascontiguousarray(gates(next(arrays), layer.cell).T)
                            getattr(part, f"{name}_{end}").copy_(torch.from_numpy(array))
                        _load_bias(part, end, gates(next(arrays), layer.cell))

    def store(self) -> list[np.ndarray]:
        arrays = []
        for layer, part in zip(self.workload.layers, self.parts):
            if isinstance(layer, Embedding):
                arrays.append(part.weight)
            elif isinstance(layer, Dense):
                arrays += [part.weight.T, part.bias]
            else:
                for end in _directions(layer):
                    one = {name: getattr(part, f"{name}_{end}").detach().numpy() for name in _NAMES}
                    bias = [one["bias_ih"], one["bias_hh"]] if layer.cell == "gru" else one["bias_ih"] + one["bias_hh"]
                    found = [one["weight_ih"].T, one["weight_hh"].T, np.stack(bias) if layer.cell == "gru" else bias]
                    arrays += [gates(array, layer.cell) for array in found]
        return [array.detach().numpy().copy() if isinstance(array, torch.Tensor) else array.copy() for array in arrays]


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _directions(layer: Recurrent) -> tuple[str, ...]:
    return ("l0", "l0_reverse") if layer.bidirectional else ("l0",)


def _load_bias(part: nn.Module, end: str, bias: np.ndarray) -> None:
    """An LSTM's second bias stays zero and is not trained: Keras has none."""
    first, second = getattr(part, f"bias_ih_{end}"), getattr(part, f"bias_hh_{end}")
    if bias.ndim == 2:
        first.copy_(torch.from_numpy(bias[0]))
        second.copy_(torch.from_numpy(bias[1]))
    else:
        first.copy_(torch.from_numpy(bias))
        second.zero_()
        second.requires_grad_(False)


def variants(workload: Workload, tier: str) -> dict[str, Callable[[], Job]]:
    torch.set_num_threads(workload.threads)
    if workload.name in FAMILY:
        return peer_torch_family.variants(workload)
    if workload.kind == "train":
        found = {"eager": lambda: train(workload, packed=False)}
        if workload.ragged:
            found["packed"] = lambda: train(workload, packed=True)
        return found
    make = predict if workload.kind == "predict" else stream
    return {"eager": lambda: make(workload, False), "compiled": lambda: make(workload, True)}


def time_major(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1))).to(torch.int64 if x.dtype == np.int32 else None)


def train(workload: Workload, packed: bool) -> Job:
    net = Net(workload, packed)
    classes = workload.loss.startswith("sparse")
    data = []
    for x, y in workload.batches:
        y = y.swapaxes(0, 1) if y.ndim > 1 and classes else y
        data.append((time_major(x), torch.from_numpy(np.ascontiguousarray(y)).to(torch.int64 if classes else None)))
    loss = LOSSES[workload.loss]()
    if classes:
        return training(net, data, lambda output, y: loss(output.flatten(0, -2), y.flatten()))
    return training(net, data, loss)


def _activate(workload: Workload, logits: torch.Tensor) -> torch.Tensor:
    last = workload.layers[-1]
    return torch.sigmoid(logits) if isinstance(last, Dense) and last.activation == "sigmoid" else logits


def predict(workload: Workload, compiled: bool) -> Job:
    net = Net(workload, packed=False).eval()
    net.load()
    data = [time_major(x) for x, _ in workload.batches]
    state = {"step": 0}

    def forward(x: torch.Tensor) -> torch.Tensor:
        return _activate(workload, net(x))

    ready = torch.compile(forward) if compiled else forward

    @torch.inference_mode()
    def run() -> torch.Tensor:
        state["step"] += 1
        return ready(data[state["step"] % len(data)])

    @torch.inference_mode()
    def result() -> list[np.ndarray]:
        return [ready(data[0]).numpy()]

    return Job(run, result)


def stream(workload: Workload, compiled: bool) -> Job:
    net = Net(workload, packed=False).eval()
    net.load()
    samples = time_major(workload.batches[0][0])
    recurrent, dense = net.parts
    zero = torch.zeros(1, workload.batch, workload.layers[0].units)

    def forward(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, (h, c) = recurrent(x, (h, c))
        return dense(y[0]), h, c

    ready = torch.compile(forward) if compiled else forward
    state = [zero, zero]

    @torch.inference_mode()
    def run() -> torch.Tensor:
        y, state[0], state[1] = ready(samples[:1], *state)
        return y

    @torch.inference_mode()
    def result() -> list[np.ndarray]:
        h = c = zero
        rows = []
        for x in samples.split(1):
            y, h, c = ready(x, h, c)
            rows.append(y.numpy())
        return [np.stack(rows)]

    return Job(run, result)
