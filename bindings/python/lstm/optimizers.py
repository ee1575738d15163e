"""Optimizers with Keras's names, defaults and arithmetic.

Every one takes `clipvalue` (each value), `clipnorm` (each parameter's norm) or `global_clipnorm` (the norm of all), and
`weight_decay`. They describe what `compile` sets up; the learning rate of a compiled model is `model.learning_rate`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ._spec import Spec, refuse

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "use_ema": (False,),
    "ema_momentum": (0.99,),
    "ema_overwrite_frequency": (None,),
    "loss_scale_factor": (None,),
    "gradient_accumulation_steps": (None,),
    "jit_compile": (True, False, "auto"),
}


class Optimizer(Spec):
    """How training changes the weights."""

    _shared: ClassVar[tuple[str, ...]] = ("weight_decay", "clipvalue", "clipnorm", "global_clipnorm")

    def __init__(self, shared: dict[str, Any], **fields: Any) -> None:
        fields.update({name: shared.pop(name) for name in self._shared if name in shared})
        shared.pop("name", None)  # shows nowhere
        refuse(type(self).__name__, shared, _NEUTRAL)
        super().__init__(**fields)


class SGD(Optimizer):
    """Gradient descent with momentum, and Nesterov's form of it."""

    type = "sgd"

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, **shared: Any
    ) -> None:
        super().__init__(shared, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square; `centered` by that of their variance."""

    type = "rmsprop"

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **shared: Any,
    ) -> None:
        fields = {"learning_rate": learning_rate, "rho": rho, "momentum": momentum, "epsilon": epsilon}
        super().__init__(shared, **fields, centered=centered)


class Adam(Optimizer):
    """Kingma and Ba 2015, and with `amsgrad` Reddi et al. 2018."""

    type = "adam"

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        fields = {"learning_rate": learning_rate, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(shared, **fields, amsgrad=amsgrad)


class AdamW(Adam):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2019."""

    type = "adamw"

    def __init__(
        self,
        learning_rate: float = 0.001,
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
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        fields = {"learning_rate": learning_rate, "epsilon": epsilon}
        super().__init__(shared, **fields, initial_accumulator_value=initial_accumulator_value)


ALIASES = {cls.__name__.lower(): cls.type for cls in (SGD, RMSprop, Adam, AdamW, Adagrad)}
