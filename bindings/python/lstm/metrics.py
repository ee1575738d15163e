"""Metrics with Keras's names. The columns of the history have the name that C gives them: `type`."""

from __future__ import annotations

from typing import Any, ClassVar

from ._spec import Spec, refuse

__all__ = [
    "AUC",
    "BLEU",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "EditDistance",
    "F1Score",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Perplexity",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "TokenErrorRate",
    "TopKCategoricalAccuracy",
]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "dtype": (None,),
    "axis": (-1,),
    "top_k": (None,),
    "class_id": (None,),
    "num_thresholds": (200,),
    "curve": ("ROC",),
    "summation_method": ("interpolation",),
    "multi_label": (False,),
    "class_aggregation": ("uniform_average",),
    "num_regressors": (0,),
}


class Metric(Spec):
    """What training and evaluation report besides the loss."""

    def __init__(self, keras: dict[str, Any], **fields: Any) -> None:
        refuse(type(self).__name__, keras, {**_NEUTRAL, "name": (self.type,)})
        super().__init__(**fields)

    def describe(self) -> Any:
        """Its name alone where nothing is to be said besides."""
        described = super().describe()
        return described if len(described) > 1 else self.type


class _Plain(Metric):
    """A metric without options."""

    def __init__(self, **keras: Any) -> None:
        super().__init__(keras)


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of `threshold`, 0.5 unless given (0 with a hinge loss)."""

    type = "binary_accuracy"

    def __init__(self, *, threshold: float | None = None, **keras: Any) -> None:
        super().__init__(keras, threshold=threshold)


class CategoricalAccuracy(_Plain):
    """The share of samples whose largest output is the largest target."""

    type = "categorical_accuracy"


class SparseCategoricalAccuracy(_Plain):
    """The share of samples whose largest output is the class of the target."""

    type = "sparse_categorical_accuracy"


class TopKCategoricalAccuracy(Metric):
    """The share of samples whose class has one of the k largest outputs."""

    type = "top_k_accuracy"

    def __init__(self, k: int = 5, **keras: Any) -> None:
        super().__init__(keras, k=k)


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """The same; the loss decides whether targets are indices."""


class _Score(Metric):
    """`average` "macro" is the mean over the classes, "weighted" weighs it by how often each occurs, "micro" is that of
    all counts together, None that of all outputs that are over `threshold`, or of the second of two classes."""

    _renamed: ClassVar[dict[str, str]] = {"thresholds": "threshold"}

    def __init__(self, keras: dict[str, Any], average: str | None, **fields: Any) -> None:
        if average not in (None, "macro", "micro", "weighted"):
            raise ValueError(f"average: expected 'macro', 'micro', 'weighted' or None, got {average!r}")
        if average is not None:
            self.__dict__["type"] = f"{type(self).type}_{average}"
        super().__init__(keras, average=average, **fields)

    def describe(self) -> Any:
        """The average is part of the name."""
        described = super().describe()
        if isinstance(described, dict):
            described.pop("average", None)
        return described


class Precision(_Score):
    """True positives among those called positive."""

    type = "precision"

    def __init__(self, thresholds: float | None = None, average: str | None = None, **keras: Any) -> None:
        super().__init__(keras, average, thresholds=thresholds)


class Recall(_Score):
    """True positives among those that are positive."""

    type = "recall"

    def __init__(self, thresholds: float | None = None, average: str | None = None, **keras: Any) -> None:
        super().__init__(keras, average, thresholds=thresholds)


class F1Score(_Score):
    """The harmonic mean of precision and recall."""

    type = "f1"

    def __init__(self, average: str | None = None, threshold: float | None = None, **keras: Any) -> None:
        super().__init__(keras, average, threshold=threshold)


class AUC(_Plain):
    """The area under the ROC curve, from 200 thresholds."""

    type = "auc"


class R2Score(_Plain):
    """1 - the sum of squared errors / the sum of squared distances of the targets from their mean."""

    type = "r2"


class MeanSquaredError(_Plain):
    """Mean of (y - p)^2."""

    type = "mse"


class RootMeanSquaredError(_Plain):
    """The root of the mean of (y - p)^2."""

    type = "rmse"


class MeanAbsoluteError(_Plain):
    """Mean of |y - p|."""

    type = "mae"


class MeanAbsolutePercentageError(_Plain):
    """Mean of 100 |y - p| / |y|."""

    type = "mape"


class MeanSquaredLogarithmicError(_Plain):
    """Mean of (log(1 + y) - log(1 + p))^2."""

    type = "msle"


class LogCoshError(_Plain):
    """Mean of log cosh(y - p)."""

    type = "log_cosh"


class CosineSimilarity(_Plain):
    """cos of the angle between outputs and targets."""

    type = "cosine_similarity"


class Poisson(Metric):
    """Mean of p - y log p; p is the output, or with `log_input` its exponential."""

    type = "poisson"

    def __init__(self, *, log_input: bool = False, **keras: Any) -> None:
        super().__init__(keras, log_input=log_input)


class KLDivergence(Metric):
    """sum y log(y / p) over the classes; p is the output, or its softmax with from_logits."""

    type = "kl_divergence"

    def __init__(self, *, from_logits: bool = False, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits)


class Hinge(_Plain):
    """Mean of max(1 - y p, 0)."""

    type = "hinge"


class SquaredHinge(_Plain):
    """Mean of max(1 - y p, 0)^2."""

    type = "squared_hinge"


class CategoricalHinge(_Plain):
    """max(the largest output of a wrong class - the output of the right one + 1, 0)."""

    type = "categorical_hinge"


class _Entropy(Metric):
    """The loss of that name, with options of its own."""

    def __init__(self, *, from_logits: bool = False, label_smoothing: float = 0.0, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits, label_smoothing=label_smoothing)


class BinaryCrossentropy(_Entropy):
    """-(y log p + (1 - y) log(1 - p))."""

    type = "binary_crossentropy"


class CategoricalCrossentropy(_Entropy):
    """-sum y log p over the classes, y as probabilities."""

    type = "categorical_crossentropy"


class SparseCategoricalCrossentropy(_Entropy):
    """-log p[y], y as the index of a class."""

    type = "sparse_categorical_crossentropy"


class Perplexity(_Plain):
    """exp of the mean cross-entropy, from logits if the loss takes them."""

    type = "perplexity"


class _OfSequences(Metric):
    """Of a model with the classes of a token at each timestep; a sequence ends before its first `end_token`, if any."""

    def __init__(self, *, end_token: int | None = None, **keras: Any) -> None:
        super().__init__(keras, end_token=end_token)


class EditDistance(_OfSequences):
    """How many tokens to insert, leave out and replace until the answer is right: the mean over the sequences."""

    type = "edit_distance"


class TokenErrorRate(_OfSequences):
    """The same for all sequences, divided by the number of tokens that would be right."""

    type = "token_error_rate"


class BLEU(_OfSequences):
    """How many runs of one to four tokens are right, with a penalty for answers too short; from 0 to 1."""

    type = "bleu"


ALIASES = {
    "acc": "accuracy",
    "mean_squared_error": "mse",
    "meansquarederror": "mse",
    "root_mean_squared_error": "rmse",
    "rootmeansquarederror": "rmse",
    "mean_absolute_error": "mae",
    "meanabsoluteerror": "mae",
    "mean_absolute_percentage_error": "mape",
    "meanabsolutepercentageerror": "mape",
    "mean_squared_logarithmic_error": "msle",
    "meansquaredlogarithmicerror": "msle",
    "logcosh": "log_cosh",
    "cosinesimilarity": "cosine_similarity",
    "kld": "kl_divergence",
    "kldivergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "f1_score": "f1",
    "f1score": "f1",
    "r2_score": "r2",
    "r2score": "r2",
    "top_k_categorical_accuracy": "top_k_accuracy",
    "sparse_top_k_categorical_accuracy": "top_k_accuracy",
    "binaryaccuracy": "binary_accuracy",
    "categoricalaccuracy": "categorical_accuracy",
    "sparsecategoricalaccuracy": "sparse_categorical_accuracy",
    "binarycrossentropy": "binary_crossentropy",
    "categoricalcrossentropy": "categorical_crossentropy",
    "sparsecategoricalcrossentropy": "sparse_categorical_crossentropy",
}
