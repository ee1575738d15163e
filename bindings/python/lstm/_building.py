"""How a model comes to be: from layers in a row or in a graph, and the C model made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import Borrowed
from ._handle import Handle
from ._library import library, lstm_model
from ._many import Data, Ports
from ._saving import Saved
from ._spec import encode, whole
from .layers import Layer

if TYPE_CHECKING:
    from .callbacks import History
    from .training import Trainer


class Built(Saved):
    """The part of a model that knows its layers and makes the C model."""

    def _begin(self, name: str, seed: int, activations: str) -> None:
        self.name = name
        self.seed = whole("seed", seed, 0, 2**53)
        if activations not in ("exact", "fast"):
            raise ValueError(f"activations: expected 'exact' or 'fast', got {activations!r}")
        self.activations = activations
        self.layers: list[Layer] = []
        # The names of what a layer reads, where that is not the layer before it.
        self._sources: dict[str, list[str]] = {}
        self.stop_training = False
        self.history: History | None = None
        self._input_shape: tuple[int | None, ...] | None = None
        # Of a model with several inputs or outputs: their names, and the shapes of the inputs.
        self._ports: Ports | None = None
        self._input_shapes: list[tuple[int | None, ...] | None] = []
        self._training: dict[str, Any] | None = None
        self._handle: Handle | None = None
        self._own_trainer: Trainer | None = None

    def _append(self, layer: Layer, sources: list[str] | None = None) -> None:
        taken = {other.name for other in self.layers}
        if self._ports is not None and len(self._ports.inputs) > 1:
            taken.update(self._ports.inputs)
        names = [layer.type, *(f"{layer.type}_{number}" for number in range(1, len(taken) + 1))]
        name = layer.name or next(name for name in names if name not in taken)
        layer.attach(self, name)
        if not self.layers and layer.input_shape is not None:
            self._input_shape = layer.input_shape
        if sources is not None:
            self._sources[name] = sources
        self.layers.append(layer)

    def _describe_layer(self, layer: Layer) -> dict[str, Any]:
        sources = self._sources.get(layer.name or "")
        return layer.describe() if sources is None else {**layer.describe(), "inputs": sources}

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index. ValueError: there is none."""
        found = self.layers[index : index + 1] if index is not None else [la for la in self.layers if la.name == name]
        if not found:
            raise ValueError(f"get_layer: no layer {name if index is None else index!r} in {self!r}")
        return found[0]

    @property
    def built(self) -> bool:
        """Whether the model has weights."""
        return self._handle is not None

    @property
    def handle(self) -> Handle:
        """The C model. ValueError: it is not built, and its input shape is not known."""
        if self._handle is None:
            self._handle = self._create(self._input_shape)
        return self._handle

    def _describe_ports(self, input_shape: Sequence[int | None] | None) -> dict[str, Any]:
        """The members of the description that say what the model reads and gives."""
        described: dict[str, Any] = {}
        readers = [layer.name or "" for layer in self.layers if layer.type == "text"]
        texts = {name for reader in readers for name in self._sources.get(reader, ())}
        if self._ports is not None and len(self._ports.inputs) > 1:
            described["inputs"] = [
                {"name": name} if shape is None or name in texts else {"name": name, "shape": shape}
                for name, shape in zip(self._ports.inputs, self._input_shapes)
            ]
        elif input_shape is not None and self._first != "text":
            described["input_shape"] = input_shape
        if self._ports is not None:
            described["outputs"] = self._ports.outputs
        return described

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Makes the weights. `input_shape` [B, ...] is needed if no layer tells it. ValueError: a wrong field."""
        if self._handle is None:
            shape = self._input_shape if input_shape is None else tuple(input_shape)[1:]
            self._handle, self._input_shape = self._create(shape), shape

    def _create(self, input_shape: Sequence[int | None] | None) -> Handle:
        if not self._knows_its_input and input_shape is None:
            raise ValueError(
                f"model {self.name!r} is not built: give the first layer an input_shape, or start with Input, or "
                "build, adapt or fit it first"
            )
        description: dict[str, Any] = {"name": self.name, "seed": self.seed, "activations": self.activations}
        description.update(self._describe_ports(input_shape))
        description["layers"] = [self._describe_layer(layer) for layer in self.layers]
        if self._training is not None:
            description["training"] = self._training
        return Handle(lstm_model, library.lstm_create, library.lstm_free, encode(description), None)

    @property
    def _first(self) -> str | None:
        """The type of the first layer."""
        return self.layers[0].type if self.layers else None

    @property
    def _knows_its_input(self) -> bool:
        known = self._input_shape is not None or self._ports is not None
        return self.built or known or self._first in ("text", "embedding")

    def _gather(self, x: Any, y: Any = None, weights: Any = None, lengths: Any = None, mask: Any = None) -> Data:
        """The data of a model with several inputs or outputs."""
        assert self._ports is not None
        return Data(self._ports, x, y, weights, lengths, mask)

    def _borrow(self, x: Any, lengths: Any = None, mask: Any = None) -> Borrowed:
        """The array of `x`; a model that is not built takes its shape: any number of steps, that many features."""
        if self._first == "text" and isinstance(x, (list, tuple)) and not x:
            x = np.array([], str)
        borrowed = Borrowed("x", x, lengths, mask)
        if not self._knows_its_input:
            self.build((None, *[None] * (len(borrowed.shape) - 2), borrowed.shape[-1]))
        return borrowed
