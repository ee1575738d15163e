"""Learning rates that follow the batches trained on, with Keras's names and equations, for any optimizer.

A schedule keeps nothing: after `save` and `load_model` it goes on where it was. `OneCycle` is PyTorch's OneCycleLR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._spec import Spec

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "WarmUp",
]


class LearningRateSchedule(Spec):
    """Base of all schedules. `name` shows nowhere."""


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and with boundaries[i], of which there is one less."""

    type = "piecewise_constant_decay"

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None:
        super().__init__(boundaries=list(boundaries), values=list(values))


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps); staircase: that fraction without its digits."""

    type = "exponential_decay"

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        fields = {"decay_steps": decay_steps, "decay_rate": decay_rate, "staircase": staircase}
        super().__init__(initial_learning_rate=initial_learning_rate, **fields)


class InverseTimeDecay(ExponentialDecay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); staircase as above."""

    type = "inverse_time_decay"


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) * (1 - step / decay_steps) ** power + end; cycle: again, over multiples of decay_steps."""

    type = "polynomial_decay"

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        fields = {"decay_steps": decay_steps, "end_learning_rate": end_learning_rate, "power": power, "cycle": cycle}
        super().__init__(initial_learning_rate=initial_learning_rate, **fields)


class CosineDecay(LearningRateSchedule):
    """Half a wave of the cosine down to the share `alpha`, Loshchilov and Hutter 2016.

    With `warmup_target` the rate first rises to it in `warmup_steps`, and falls from there.
    """

    type = "cosine_decay"

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = None,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        fields = {"alpha": alpha, "warmup_target": warmup_target, "warmup_steps": warmup_steps}
        super().__init__(initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, **fields)

    def describe(self) -> Any:
        if self.warmup_target is None or not self.warmup_steps:
            first = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
            fields = {"decay_steps": self.decay_steps, "alpha": self.alpha}
            return {"type": self.type, "initial_learning_rate": first, **fields}
        decay = CosineDecay(self.warmup_target, self.decay_steps, self.alpha)
        return WarmUp(decay, self.warmup_steps, self.initial_learning_rate).describe()


class CosineDecayRestarts(LearningRateSchedule):
    """CosineDecay again and again, each time `t_mul` times as long and `m_mul` times as high."""

    type = "cosine_decay_restarts"

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = None,
    ) -> None:
        fields = {"first_decay_steps": first_decay_steps, "t_mul": t_mul, "m_mul": m_mul, "alpha": alpha}
        super().__init__(initial_learning_rate=initial_learning_rate, **fields)


class OneCycle(LearningRateSchedule):
    """Up to max_learning_rate and down to almost nothing, Smith and Topin 2017, as PyTorch's OneCycleLR.

    It begins with max / div_factor and ends with that / final_div_factor. The momentum stays as it is.
    """

    type = "one_cycle"

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        fields = {"div_factor": div_factor, "final_div_factor": final_div_factor, "three_phase": three_phase}
        shape: dict[str, Any] = {"pct_start": pct_start, "anneal_strategy": anneal_strategy}
        super().__init__(max_learning_rate=max_learning_rate, total_steps=total_steps, **shape, **fields)


class WarmUp(LearningRateSchedule):
    """In a straight line from `initial_learning_rate` to the beginning of `learning_rate`, a number or schedule."""

    type = "warmup"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        warmup_steps: float,
        initial_learning_rate: float = 0.0,
    ) -> None:
        fields = {"warmup_steps": warmup_steps, "initial_learning_rate": initial_learning_rate}
        super().__init__(learning_rate=learning_rate, **fields)
