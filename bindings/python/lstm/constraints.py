"""What weights are made to be after each update, with Keras's names.

For the arguments `kernel_constraint`, `recurrent_constraint`, `bias_constraint` and `embeddings_constraint` of layers.
Norms are those along `axis`: 0 is that of a column of a kernel, all that goes into one unit.
"""

from __future__ import annotations

from ._spec import Spec

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]


class Constraint(Spec):
    """Base of all constraints."""


class MaxNorm(Constraint):
    """No norm is more than max_value, Srivastava et al. 2014."""

    type = "max_norm"

    def __init__(self, max_value: float = 2, axis: int = 0) -> None:
        super().__init__(max_value=max_value, axis=axis)


class NonNeg(Constraint):
    """Negative weights become 0."""

    type = "non_neg"

    def __init__(self) -> None:
        super().__init__()


class UnitNorm(Constraint):
    """Every norm is 1."""

    type = "unit_norm"

    def __init__(self, axis: int = 0) -> None:
        super().__init__(axis=axis)


class MinMaxNorm(Constraint):
    """Every norm goes the share `rate` of the way to where it is from min_value to max_value."""

    type = "min_max_norm"

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> None:
        super().__init__(min_value=min_value, max_value=max_value, rate=rate, axis=axis)


ALIASES = {cls.__name__.lower(): cls.type for cls in (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)}
