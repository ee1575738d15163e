"""PyTorch on the whole family: stacks of the layers of peer_torch_blocks.py, denormals flushed, fused Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from blocks import LABELS, Block
from jobs import Job
from peer_torch_blocks import Part, Recurrence, make, modes
from peer_torch_cells import crf_loss
from peer_torch_training import training
from torch import nn
from workloads import Recurrent, Workload


class Linear(Part):
    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.module = nn.Linear(inputs, units)
        self.views = [self.module.weight.T, self.module.bias]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)


class Stack(nn.Module):
    """`arrange` puts an array [batch, timesteps, ...] into the order of axes that suits one of the layers."""

    def __init__(self, workload: Workload, mode: str) -> None:
        super().__init__()
        inputs, parts = workload.inputs, []
        for layer in workload.layers:
            if isinstance(layer, Block):
                parts.append(make(layer, inputs, mode))
            elif isinstance(layer, Recurrent):
                parts.append(Recurrence(nn.LSTM(inputs, layer.units), lambda module: module))
            else:
                parts.append(Linear(inputs, layer.units))
            inputs = layer.outputs
        self.parts = nn.ModuleList(parts)
        self.workload = workload

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = self.parts[0].axes
        for part in self.parts:
            # To [batch, timesteps, features] and on.
            x = x if part.axes == axes else x.permute(axes).permute(part.axes)
            x, axes = part(x), part.axes
        return x

    def load(self) -> None:
        arrays = iter(self.workload.weights)
        with torch.no_grad():
            for part in self.parts:
                part.load(arrays)

    def store(self) -> list[np.ndarray]:
        return [array for part in self.parts for array in part.store()]

    def arrange(self, array: np.ndarray, part: int) -> torch.Tensor:
        axes = self.parts[part].axes
        return torch.from_numpy(np.ascontiguousarray(array.transpose(axes[: array.ndim])))


def variants(workload: Workload) -> dict[str, Callable[[], Job]]:
    work = train if workload.kind == "train" else predict
    names = list(dict.fromkeys(mode for layer in _blocks(workload) for mode in modes(layer)))
    return {name: partial(work, workload, name) for name in names or ["eager"]}


def _blocks(workload: Workload) -> Iterator[Block]:
    return (layer for layer in workload.layers if isinstance(layer, Block))


def train(workload: Workload, mode: str) -> Job:
    net = Stack(workload, mode)
    data = []
    for x, y in workload.batches:
        target = torch.from_numpy(y).to(torch.int64) if workload.loss == "ctc" else net.arrange(y, -1)
        data.append((net.arrange(x, 0), target.to(torch.int64) if workload.loss == "crf" else target))
    return training(net, data, _loss(workload, net, mode))


def _loss(workload: Workload, net: Stack, mode: str) -> Callable[..., torch.Tensor]:
    if workload.loss == "crf":
        loss = crf_loss(torch.compile if mode == "compiled" else lambda function: function)
        return lambda emissions, tags: loss(emissions, tags, *net.parts[-1].views)
    if workload.loss == "ctc":
        steps = torch.full((workload.batch,), workload.timesteps)
        counts = torch.full((workload.batch,), LABELS)

        def ctc(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            found = nn.functional.ctc_loss(logits.log_softmax(-1), labels, steps, counts, reduction="sum")
            return found / workload.batch

        return ctc
    return nn.MSELoss()


def predict(workload: Workload, mode: str) -> Job:
    net = Stack(workload, mode).eval()
    net.load()
    data = [net.arrange(x, 0) for x, _ in workload.batches]
    state = {"step": 0}

    @torch.inference_mode()
    def run() -> torch.Tensor:
        state["step"] += 1
        return net(data[state["step"] % len(data)])

    @torch.inference_mode()
    def result() -> list[np.ndarray]:
        return [net(data[0]).permute(net.parts[-1].axes).numpy()]

    return Job(run, result)
