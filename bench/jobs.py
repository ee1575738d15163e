"""What every contender turns a workload into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Adam as Keras defines it: p -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 0.001, 0.9, 0.999, 1e-7


class NotYet(Exception):
    """This contender cannot do this workload; the text says why."""


@dataclass
class Job:
    """A workload made ready in one way.

    `run` does one unit of work. `result` begins anew, whatever ran before, and gives what is compared between
    contenders: of training the loss and all weights after one step on the first batch, of a prediction the outputs for
    the first batch, of streams the outputs [T, B, units] of all timesteps from a zero state.
    `figures`, where given, measures by itself for so many seconds, and gives the seconds of a unit of work as
    {"median": ..., "p99": ...}; then `run` is not used. `note` gives a further figure to print.
    """

    run: Callable[[], object] | None
    result: Callable[[], list[np.ndarray]]
    figures: Callable[[float], dict[str, float]] | None = None
    note: Callable[[], dict[str, float]] | None = None
    close: Callable[[], None] | None = None
