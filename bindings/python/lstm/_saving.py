"""Models in files, in bytes and in copies."""

from __future__ import annotations

import copy
import json
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, Union

import numpy as np

from . import layers
from ._arrays import characters
from ._handle import Handle
from ._library import LSTM_SAVE_WEIGHTS_ONLY, check, library, lstm_model
from ._many import Ports

if TYPE_CHECKING:
    from .models import Model

Path = Union[str, bytes, "os.PathLike[str]"]
Kind = TypeVar("Kind", bound="Saved")


class Saved(ABC):
    """The part of a model that saves and copies it."""

    layers: list[layers.Layer]
    _handle: Handle | None

    @property
    @abstractmethod
    def handle(self) -> Handle:
        """The C model, made where there is none."""

    def save(self, filepath: Path, *, save_weights_only: bool = False) -> None:
        """Saves weights, description and training state to a safetensors file, at once or not at all. OSError: cannot.

        `save_weights_only` leaves out the optimizer's state: smaller, but training starts afresh.
        """
        flags = LSTM_SAVE_WEIGHTS_ONLY if save_weights_only else 0
        check(library.lstm_save(self.handle, _path(filepath), flags))

    def save_weights(self, filepath: Path) -> None:
        """`save` with `save_weights_only`."""
        self.save(filepath, save_weights_only=True)

    def to_bytes(self, *, save_weights_only: bool = False) -> bytes:
        """What `save` writes to a file."""
        flags = LSTM_SAVE_WEIGHTS_ONLY if save_weights_only else 0
        return characters(library.lstm_save_buffer, self.handle, flags)

    def _state(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_own_trainer": None, "history": None}

    def _restore(self, state: dict[str, Any], handle: Handle | None) -> None:
        self.__dict__.update(state, _handle=handle)
        for layer in self.layers:
            layer.attach(self, layer.name or layer.type)

    def __getstate__(self) -> dict[str, Any]:
        return {**self._state(), "_handle": None if self._handle is None else self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        data = state.pop("_handle")
        self._restore(state, None if data is None else handle_of_bytes(data))

    def __deepcopy__(self: Kind, memo: dict[int, Any]) -> Kind:
        twin = memo[id(self)] = type(self).__new__(type(self))
        handle = None
        if self._handle is not None:
            handle = Handle(lstm_model, library.lstm_clone, library.lstm_free, self._handle)
        twin._restore(copy.deepcopy(self._state(), memo), handle)
        return twin

    def __copy__(self: Kind) -> Kind:
        return copy.deepcopy(self)


def handle_of_file(filepath: Path) -> Handle:
    return Handle(lstm_model, library.lstm_load, library.lstm_free, _path(filepath), None)


def handle_of_bytes(data: bytes) -> Handle:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data: expected bytes, got {type(data).__name__}")
    buffer = np.frombuffer(data, np.uint8)
    arguments = (buffer.ctypes.data, buffer.size, None)
    return Handle(lstm_model, library.lstm_load_buffer, library.lstm_free, *arguments)


def adopt(handle: Handle) -> Model:
    """The Sequential of a C model, or the Model if its layers make a graph."""
    from .models import Model, Sequential

    description = json.loads(characters(library.lstm_describe, handle)[:-1])
    is_graph = "outputs" in description or any("inputs" in layer for layer in description["layers"])
    kind = Model if is_graph else Sequential
    model = kind.__new__(kind)
    model._begin(description["name"], description["seed"], description["activations"])
    inputs = description.get("inputs", [{"name": "input"}])
    outputs = description.get("outputs", [description["layers"][-1]["name"]])
    if len(inputs) > 1 or len(outputs) > 1:
        model._ports = Ports([one["name"] for one in inputs], outputs)
        model._input_shapes = [tuple(one["shape"]) if "shape" in one else None for one in inputs]
    for layer in description["layers"]:
        sources = layer.pop("inputs", None)
        model._append(layers.restore(layer), sources)
    shape = description.get("input_shape")
    model._input_shape = None if shape is None else tuple(shape)
    model._training, model._handle = description.get("training"), handle
    return model


def _path(filepath: Path) -> bytes:
    path = os.fsencode(filepath)
    if b"\0" in path:
        raise ValueError(f"filepath: expected a path without zero characters, got {filepath!r}")
    return path
