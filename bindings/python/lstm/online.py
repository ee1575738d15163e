"""Training beside predictions: a copy of a model learns, and gives it its weights all at once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from .training import Trainer

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Learner"]


class Learner(Trainer):
    """A Trainer of a copy of a model, which other threads may use meanwhile; `Model.learner` makes it.

    `step` and `learn` train the copy. `publish` makes its weights those of the model, all at once: each call on the
    model (a prediction, a step of a stream, a saving) sees one version, takes no lock and waits for nobody. `model` is
    the copy: save it to keep the optimizer's state too. When the learner is closed, the model keeps what was published
    last. Also a context manager.
    """

    def __init__(self, served: Model, threads: int = 0) -> None:
        """`threads` as for Trainer. Other threads may use `served` again as soon as this has returned.

        ValueError: the model is not compiled, or is being trained itself.
        """
        self.model, self._served = copy.copy(served), served
        super().__init__(self.model, threads)
        served.set_publishing()

    def publish(self) -> None:
        """Makes the weights trained so far those of the model. DivergedError: one is not finite; nothing is changed."""
        self._served.publish(self.model)
