"""Losses with Keras's names and defaults. Per sequence and per timestep; padding is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._spec import Spec, refuse

__all__ = [
    "CRF",
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "Contrastive",
    "CosineSimilarity",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "StudentTNLL",
]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "reduction": ("sum_over_batch_size",),
    "dtype": (None,),
    "axis": (-1,),
    "ignore_class": (None,),
}


class Loss(Spec):
    """What training minimises."""

    def __init__(self, keras: dict[str, Any], **fields: Any) -> None:
        keras.pop("name", None)  # shows nowhere
        refuse(type(self).__name__, keras, _NEUTRAL)
        super().__init__(**fields)


class _Plain(Loss):
    """A loss without options."""

    def __init__(self, **keras: Any) -> None:
        super().__init__(keras)


class _Entropy(Loss):
    """`label_smoothing` is the share of each target that is spread over all classes alike."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits, label_smoothing=label_smoothing)


class BinaryCrossentropy(_Entropy):
    """-(y log p + (1 - y) log(1 - p)); p is the output, or its sigmoid with from_logits."""

    type = "binary_crossentropy"


class CategoricalCrossentropy(_Entropy):
    """-sum y log p over the classes, y as probabilities; p is the output, or its softmax with from_logits."""

    type = "categorical_crossentropy"


class SparseCategoricalCrossentropy(_Entropy):
    """-log p[y], y as the index of a class; p is the output, or its softmax with from_logits."""

    type = "sparse_categorical_crossentropy"


class BinaryFocalCrossentropy(Loss):
    """BinaryCrossentropy times (how far off p is) ** gamma; balanced, times alpha for ones and 1 - alpha for zeros."""

    type = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        **keras: Any,
    ) -> None:
        super().__init__(
            keras,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


class CategoricalFocalCrossentropy(Loss):
    """-sum alpha y (1 - p) ** gamma log p over the classes."""

    type = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        **keras: Any,
    ) -> None:
        super().__init__(keras, alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing)


class KLDivergence(Loss):
    """sum y log(y / p) over the classes; p is the output, or its softmax with from_logits."""

    type = "kl_divergence"

    def __init__(self, *, from_logits: bool = False, **keras: Any) -> None:
        super().__init__(keras, from_logits=from_logits)


class CategoricalHinge(_Plain):
    """max(the largest output of a wrong class - the output of the right one + 1, 0)."""

    type = "categorical_hinge"


class Hinge(_Plain):
    """Mean of max(1 - y p, 0), y as -1 or 1; a y of 0 stands for -1."""

    type = "hinge"


class SquaredHinge(_Plain):
    """Mean of max(1 - y p, 0)^2, y as -1 or 1; a y of 0 stands for -1."""

    type = "squared_hinge"


class MeanSquaredError(_Plain):
    """Mean of (y - p)^2."""

    type = "mse"


class MeanAbsoluteError(_Plain):
    """Mean of |y - p|."""

    type = "mae"


class MeanAbsolutePercentageError(_Plain):
    """Mean of 100 |y - p| / |y|."""

    type = "mape"


class MeanSquaredLogarithmicError(_Plain):
    """Mean of (log(1 + y) - log(1 + p))^2, y at least 0."""

    type = "msle"


class LogCosh(_Plain):
    """Mean of log cosh(y - p)."""

    type = "log_cosh"


class Huber(Loss):
    """Half the squared error up to `delta`, linear beyond."""

    type = "huber"

    def __init__(self, delta: float = 1.0, **keras: Any) -> None:
        super().__init__(keras, delta=delta)


class Poisson(Loss):
    """Mean of p - y log p, y at least 0; p is the output, or with `log_input` its exponential."""

    type = "poisson"

    def __init__(self, *, log_input: bool = False, **keras: Any) -> None:
        super().__init__(keras, log_input=log_input)


class CosineSimilarity(_Plain):
    """-cos of the angle between outputs and targets."""

    type = "cosine_similarity"


class Quantile(Loss):
    """The pinball loss, whose least is at the quantiles of y, numbers between 0 and 1.

    The model has an output for each target and quantile, in blocks: those of the first quantile, of the second, ...
    """

    type = "quantile"

    def __init__(self, quantiles: float | Sequence[float], **keras: Any) -> None:
        super().__init__(keras, quantiles=quantiles)


class GaussianNLL(Loss):
    """-log of the likelihood of y under a normal distribution, of which the model gives mean and log of the variance.

    The outputs are the means of all targets, then the logs of all variances. To each variance `min_variance` is added.
    """

    type = "gaussian_nll"

    def __init__(self, min_variance: float = 1e-6, **keras: Any) -> None:
        super().__init__(keras, min_variance=min_variance)


class StudentTNLL(Loss):
    """-log of the likelihood of y under a Student's t distribution: as GaussianNLL, with heavier tails.

    The outputs are the locations of all targets, then the logs of their squared scales, then, unless
    `degrees_of_freedom` is a number, r of each with degrees of freedom of 2 + softplus(r).
    """

    type = "student_t_nll"

    def __init__(self, degrees_of_freedom: float | None = None, min_variance: float = 1e-6, **keras: Any) -> None:
        super().__init__(keras, degrees_of_freedom=degrees_of_freedom, min_variance=min_variance)


class Contrastive(Loss):
    """y d^2 + (1 - y) max(margin - d, 0)^2 of distances d, y as 1 for what belongs together and 0 for what does not.

    The outputs are distances; with `pairs` two vectors beside each other, d is the distance between them, and there is
    one y.
    """

    type = "contrastive"

    def __init__(self, margin: float = 1.0, pairs: bool = False, **keras: Any) -> None:
        super().__init__(keras, margin=margin, pairs=pairs)


class CRF(_Plain):
    """-log of the probability of a row's tags, y [B, T] class indices, by the layers.CRF in which the model ends."""

    type = "crf"


class CTC(Loss):
    """-log of the probability of a row's labels: all ways to spread them over the timesteps, with blanks between them.

    y is a list of sequences of labels, or [B, L] with 0 (the blank) or -1 behind them; the model gives logits, or
    probabilities by a softmax at its end, for each timestep. Labels that need more timesteps than their row has are a
    ValueError, or with `zero_infinity` have no loss. `from_logits`: whether outputs are logits; None lets the model's
    last activation say it.
    """

    type = "ctc"

    def __init__(
        self, *, blank: int = 0, from_logits: bool | None = None, zero_infinity: bool = False, **keras: Any
    ) -> None:
        super().__init__(keras, blank=blank, from_logits=from_logits, zero_infinity=zero_infinity)


ALIASES = {
    "mean_squared_error": "mse",
    "meansquarederror": "mse",
    "mean_absolute_error": "mae",
    "meanabsoluteerror": "mae",
    "mean_absolute_percentage_error": "mape",
    "meanabsolutepercentageerror": "mape",
    "mean_squared_logarithmic_error": "msle",
    "meansquaredlogarithmicerror": "msle",
    "huber_loss": "huber",
    "logcosh": "log_cosh",
    "kld": "kl_divergence",
    "kldivergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "cosinesimilarity": "cosine_similarity",
    "squaredhinge": "squared_hinge",
    "categoricalhinge": "categorical_hinge",
    "binarycrossentropy": "binary_crossentropy",
    "categoricalcrossentropy": "categorical_crossentropy",
    "sparsecategoricalcrossentropy": "sparse_categorical_crossentropy",
    "binaryfocalcrossentropy": "binary_focal_crossentropy",
    "categoricalfocalcrossentropy": "categorical_focal_crossentropy",
}
