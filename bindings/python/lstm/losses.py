"""Losses with Keras's names and defaults. Per sequence and per timestep; padding is left out."""

from __future__ import annotations

from typing import Any

from ._spec import Spec, refuse

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "reduction": ("sum_over_batch_size",),
    "dtype": (None,),
    "label_smoothing": (0,),
    "axis": (-1,),
    "ignore_class": (None,),
}


class Loss(Spec):
    """What training minimises."""

    def __init__(self, keras: dict[str, Any], **fields: Any) -> None:
        keras.pop("name", None)  # shows nowhere
        refuse(type(self).__name__, keras, _NEUTRAL)
        super().__init__(**fields)


class BinaryCrossentropy(Loss):
    """-(y log p + (1 - y) log(1 - p)); p is the output, or its sigmoid with from_logits."""

    type = "binary_crossentropy"

    def __init__(self, from_logits: bool = False, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits)


class CategoricalCrossentropy(Loss):
    """-sum y log p over the classes, y as probabilities; p is the output, or its softmax with from_logits."""

    type = "categorical_crossentropy"

    def __init__(self, from_logits: bool = False, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits)


class SparseCategoricalCrossentropy(Loss):
    """-log p[y], y as the index of a class; p is the output, or its softmax with from_logits."""

    type = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits)


class MeanSquaredError(Loss):
    """Mean of (y - p)^2."""

    type = "mse"

    def __init__(self, **keras: Any) -> None:
        super().__init__(keras)


class MeanAbsoluteError(Loss):
    """Mean of |y - p|."""

    type = "mae"

    def __init__(self, **keras: Any) -> None:
        super().__init__(keras)


class Huber(Loss):
    """Half the squared error up to `delta`, linear beyond."""

    type = "huber"

    def __init__(self, delta: float = 1.0, **keras: Any) -> None:
        super().__init__(keras, delta=delta)


ALIASES = {
    "mean_squared_error": "mse",
    "meansquarederror": "mse",
    "mean_absolute_error": "mae",
    "meanabsoluteerror": "mae",
    "huber_loss": "huber",
    "binarycrossentropy": "binary_crossentropy",
    "categoricalcrossentropy": "categorical_crossentropy",
    "sparsecategoricalcrossentropy": "sparse_categorical_crossentropy",
}
