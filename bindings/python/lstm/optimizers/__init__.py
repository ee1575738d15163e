"""Optimizers with Keras's names, defaults and arithmetic.

Every one takes as `learning_rate` a number or one of `lstm.optimizers.schedules`, and

- `clipvalue` (each value), `clipnorm` (each parameter's norm) or `global_clipnorm` (the norm of all), `weight_decay`
- `gradient_accumulation_steps`: batches whose mean gradient makes one update
- `use_ema`, with `ema_momentum` and `ema_overwrite_frequency`: a moving average of the weights, counted in updates; or
  `average_from`: the mean of the weights after that update and all later ones, as PyTorch's ASGD and AveragedModel.
  After `fit` the model has the average; `model.serve_average(False)` brings the trained weights back

They describe what `compile` sets up; the learning rate of a compiled model is `model.learning_rate`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Union

from .._spec import Spec, refuse
from . import schedules
from .schedules import LearningRateSchedule

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "schedules",
]

Rate = Union[float, LearningRateSchedule]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "loss_scale_factor": (None,),
    "jit_compile": (True, False, "auto"),
}


class Optimizer(Spec):
    """How training changes the weights."""

    _shared: ClassVar[tuple[str, ...]] = (
        "weight_decay",
        "clipvalue",
        "clipnorm",
        "global_clipnorm",
        "use_ema",
        "ema_momentum",
        "ema_overwrite_frequency",
        "average_from",
        "gradient_accumulation_steps",
    )
    _neutral: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def __init__(self, shared: dict[str, Any], **fields: Any) -> None:
        fields.update({name: shared.pop(name) for name in self._shared if name in shared})
        shared.pop("name", None)  # shows nowhere
        refuse(type(self).__name__, shared, {**_NEUTRAL, **self._neutral})
        super().__init__(**fields)


class SGD(Optimizer):
    """Gradient descent with momentum, and Nesterov's form of it."""

    type = "sgd"

    def __init__(
        self, learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False, **shared: Any
    ) -> None:
        super().__init__(shared, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square; `centered` by that of their variance."""

    type = "rmsprop"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **shared: Any,
    ) -> None:
        fields: dict[str, Any] = {"learning_rate": learning_rate, "rho": rho, "momentum": momentum, "epsilon": epsilon}
        super().__init__(shared, **fields, centered=centered)


class Adam(Optimizer):
    """Kingma and Ba 2015, and with `amsgrad` Reddi et al. 2018."""

    type = "adam"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        fields: dict[str, Any] = {
            "learning_rate": learning_rate,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
        }
        super().__init__(shared, **fields, amsgrad=amsgrad)


class AdamW(Adam):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2019."""

    type = "adamw"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **shared)


class Adagrad(Optimizer):
    """Duchi et al. 2011: gradients divided by the root of the sum of their squares."""

    type = "adagrad"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        fields: dict[str, Any] = {"learning_rate": learning_rate, "epsilon": epsilon}
        super().__init__(shared, **fields, initial_accumulator_value=initial_accumulator_value)


class Adamax(Optimizer):
    """Adam with the largest gradient in place of the mean square, Kingma and Ba 2015."""

    type = "adamax"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        super().__init__(shared, learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


class Nadam(Adamax):
    """Adam with Nesterov's momentum, Dozat 2016."""

    type = "nadam"


class Adadelta(Optimizer):
    """Zeiler 2012: steps as long as the steps before, by the gradient divided by its running root mean square."""

    type = "adadelta"

    def __init__(self, learning_rate: Rate = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **shared: Any) -> None:
        super().__init__(shared, learning_rate=learning_rate, rho=rho, epsilon=epsilon)


class Ftrl(Optimizer):
    """Follow the regularized leader, McMahan et al. 2013; its learning_rate_power is -0.5."""

    type = "ftrl"
    _neutral: ClassVar[dict[str, tuple[Any, ...]]] = {"learning_rate_power": (-0.5,)}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        *,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(
            shared,
            learning_rate=learning_rate,
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
            beta=beta,
        )


class Lion(Optimizer):
    """Chen et al. 2023: the sign of the momentum."""

    type = "lion"

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **shared: Any) -> None:
        super().__init__(shared, learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2)


class Adafactor(Optimizer):
    """Shazeer and Stern 2018: of a matrix of weights it keeps a number for each row and each column.

    The learning rate is never more than 1 / sqrt(step), as in Keras whatever `relative_step` says.
    """

    type = "adafactor"
    _neutral: ClassVar[dict[str, tuple[Any, ...]]] = {"relative_step": (True, False)}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        **shared: Any,
    ) -> None:
        fields = {"beta_2_decay": beta_2_decay, "epsilon_1": epsilon_1, "epsilon_2": epsilon_2}
        super().__init__(shared, learning_rate=learning_rate, **fields, clip_threshold=clip_threshold)


_ALL = (SGD, RMSprop, Adam, AdamW, Adagrad, Adamax, Nadam, Adadelta, Ftrl, Lion, Adafactor)
ALIASES = {cls.__name__.lower(): cls.type for cls in _ALL}
