"""Penalties of large weights, with Keras's names: the loss, also as reported, grows by l1 |w| + l2 w^2 of each weight.

For the arguments `kernel_regularizer`, `recurrent_regularizer`, `bias_regularizer` and `embeddings_regularizer`.
"""

from __future__ import annotations

from ._spec import Spec

__all__ = ["L1", "L1L2", "L2", "Regularizer"]


class Regularizer(Spec):
    """Base of all regularizers."""


class L1(Regularizer):
    """l1 * sum of |w|."""

    type = "l1"

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(Regularizer):
    """l2 * sum of w ** 2."""

    type = "l2"

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


class L1L2(Regularizer):
    """Both."""

    type = "l1_l2"

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(l1=l1, l2=l2)


ALIASES = {"l1l2": "l1_l2"}
