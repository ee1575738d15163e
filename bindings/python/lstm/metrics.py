"""Metrics with Keras's names. The columns of the history have the name that C gives them: `type`."""

from __future__ import annotations

from typing import Any

from ._spec import Spec, refuse

__all__ = [
    "AUC",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "SparseCategoricalAccuracy",
]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "dtype": (None,),
    "threshold": (0.5,),
    "thresholds": (None, 0.5),
    "top_k": (None,),
    "class_id": (None,),
    "num_thresholds": (200,),
    "curve": ("ROC",),
    "summation_method": ("interpolation",),
    "multi_label": (False,),
    "from_logits": (False,),
}


class Metric(Spec):
    """What training and evaluation report besides the loss."""

    def __init__(self, **keras: Any) -> None:
        refuse(type(self).__name__, keras, {**_NEUTRAL, "name": (self.type,)})
        super().__init__()

    def describe(self) -> str:
        return self.type


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of 0.5."""

    type = "binary_accuracy"


class CategoricalAccuracy(Metric):
    """The share of samples whose largest output is the largest target."""

    type = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """The share of samples whose largest output is the class of the target."""

    type = "sparse_categorical_accuracy"


class MeanSquaredError(Metric):
    """Mean of (y - p)^2."""

    type = "mse"


class MeanAbsoluteError(Metric):
    """Mean of |y - p|."""

    type = "mae"


class Precision(Metric):
    """True positives among those called positive."""

    type = "precision"


class Recall(Metric):
    """True positives among those that are positive."""

    type = "recall"


class AUC(Metric):
    """The area under the ROC curve, from 200 thresholds."""

    type = "auc"


ALIASES = {
    "acc": "accuracy",
    "mean_squared_error": "mse",
    "meansquarederror": "mse",
    "mean_absolute_error": "mae",
    "meanabsoluteerror": "mae",
    "binaryaccuracy": "binary_accuracy",
    "categoricalaccuracy": "categorical_accuracy",
    "sparsecategoricalaccuracy": "sparse_categorical_accuracy",
}
