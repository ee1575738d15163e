"""The layers around the recurrent ones: how Keras makes them, their parameters, and how wide their outputs are."""

import keras
import numpy as np


def fields(layer):
    return {key: value for key, value in layer.items() if key not in ("type", "name", "inputs")}


def is_one(layer):
    return layer["type"] in LAYERS


def made(layer):
    return LAYERS[layer["type"]](**fields(layer))


def trainable_kinds(layer):
    """The kinds of a layer's trainable parameters, in Keras's order."""
    if layer["type"] == "layer_normalization":
        return ("gamma",) * layer.get("scale", True) + ("beta",) * layer.get("center", True)
    return ()


def drawn(layer, features, generator):
    """Parameters by their kinds, far from what they begin with, and the last extent of the output."""
    weights = {kind: generator.uniform(-1.5, 1.5, features).astype(np.float32) for kind in trainable_kinds(layer)}
    return weights, features


LAYERS = {
    "layer_normalization": keras.layers.LayerNormalization,
}
