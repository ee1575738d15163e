"""A step of training in PyTorch: fused Adam with Keras's epsilon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jobs import BETA_1, BETA_2, EPSILON, LEARNING_RATE, Job
from torch import nn


def training(net: nn.Module, data: list[tuple[torch.Tensor, torch.Tensor]], loss: Callable[..., torch.Tensor]) -> Job:
    """Steps of a net that has `load` and `store`, on batches in turn."""
    # Keras's epsilon stands inside the correction of the bias, which at the first step makes it this one outside.
    epsilon = EPSILON / (1 - BETA_2) ** 0.5
    state = {"step": 0}

    def begin() -> None:
        net.load()
        trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        state["adam"] = torch.optim.Adam(trained, LEARNING_RATE, (BETA_1, BETA_2), epsilon, fused=True)
        state["step"] = 0

    def step() -> torch.Tensor:
        x, y = data[state["step"] % len(data)]
        state["step"] += 1
        state["adam"].zero_grad()
        found = loss(net(x), y)
        found.backward()
        state["adam"].step()
        return found

    def result() -> list[np.ndarray]:
        begin()
        return [step().detach().numpy(), *net.store()]

    begin()
    return Job(step, result)
