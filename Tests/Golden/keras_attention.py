"""Attention as Keras has it, and the Transformer's blocks composed of Keras's layers."""

import keras
import numpy as np

HEADS = ("query", "key", "value", "output")


def is_one(layer):
    return layer["type"] in LAYERS


def made(layer):
    return LAYERS[layer["type"]](layer)


def dense_kinds(*names):
    return [f"{name}_{kind}" for name in names for kind in ("weights", "bias")]


def norm_kinds(name):
    return [f"{name}_gamma", f"{name}_beta"]


def trainable_kinds(layer):
    """The kinds of a layer's parameters, in the order in which the layer made here has them."""
    kind = layer["type"]
    if kind == "attention":
        return ["scale"] * layer.get("use_scale", False) + ["score_weight"] * (layer.get("score_mode") == "concat")
    if kind == "additive_attention":
        return ["score_weights"] * layer.get("use_scale", True)
    if kind == "multi_head_attention":
        return dense_kinds(*HEADS) if layer.get("use_bias", True) else [f"{name}_weights" for name in HEADS]
    cross = [*dense_kinds(*(f"cross_{name}" for name in HEADS)), *norm_kinds("cross")]
    return [
        *dense_kinds(*HEADS),
        *norm_kinds("attention"),
        *(cross if kind == "transformer_decoder" else ()),
        *dense_kinds("intermediate", "feed_forward"),
        *norm_kinds("feed_forward"),
    ]


def drawn(layer, read, generator):
    """Parameters by their kinds, far from what they begin with, and the last extent of the output.

    read: the last extents of the inputs.
    """
    kind, query, key, value = layer["type"], read[0], read[-1], read[min(1, len(read) - 1)]
    heads = layer.get("num_heads", 1)
    width = layer.get("key_dim", query // heads)
    keys, values = heads * width, heads * (layer.get("value_dim") or width)
    units = layer.get("units", 0)
    shapes = {"scale": (1,), "score_weight": (1,), "score_weights": (key,)}
    for prefix, source in (("", (query, key, value)), ("cross_", (query, read[-1], read[-1]))):
        if kind.startswith("transformer") and not prefix:
            source = (query, query, query)
        for name, inputs, outputs in zip(HEADS, (*source, values), (keys, keys, values, query), strict=True):
            shapes |= {f"{prefix}{name}_weights": (inputs, outputs), f"{prefix}{name}_bias": (outputs,)}
    shapes |= {"intermediate_weights": (query, units), "intermediate_bias": (units,)}
    shapes |= {"feed_forward_weights": (units, query), "feed_forward_bias": (query,)}
    weights = {}
    for name in trainable_kinds(layer):
        shape = shapes.get(name, (query,))
        limit = 1.5 * shape[0] ** -0.5 if len(shape) > 1 else 1
        weights[name] = generator.uniform(-limit, limit, shape).astype(np.float32)
        if shape == (1,):
            # The gradient of queries by an additive score fades with the square of its scale, to what rounding leaves
            # of sums that cancel: with a scale of 0.01 that of PyTorch in float32 is 3e-3 from that in float64.
            weights[name] += np.copysign(np.float32(0.5), weights[name])
    return weights, value if kind.endswith("attention") and "num_heads" not in layer else query


class Attending:
    """Attention without projections, called on a list."""

    def __init__(self, kind, layer, *fields):
        self.causal = layer.get("causal", False)
        self.layer = kind(**{field: layer[field] for field in fields if field in layer})

    def __call__(self, read):
        return self.layer(read, use_causal_mask=self.causal)

    @property
    def trainable_weights(self):
        return self.layer.trainable_weights


def heads(layer):
    width = layer["key_dim"]
    made = {"value_dim": layer.get("value_dim"), "use_bias": layer.get("use_bias", True)}
    return keras.layers.MultiHeadAttention(layer["num_heads"], width, **made)


def attend(layer, causal, *read):
    """Queries, values and keys; with the scores, or Keras would ask PyTorch, whose rows of padding are not numbers."""
    read = read * 2 if len(read) == 1 else read
    return layer(*read, use_causal_mask=causal, return_attention_scores=True)[0]


class Heads:
    def __init__(self, layer):
        self.layer, self.causal = heads(layer), layer.get("causal", False)

    def __call__(self, read):
        return attend(self.layer, self.causal, *(read if isinstance(read, list) else [read]))

    @property
    def trainable_weights(self):
        return self.layer.trainable_weights


class Block:
    """Encoder, or with a second input decoder: each part within a sum and a normalization."""

    def __init__(self, layer):
        self.described, self.parts = layer, []

    def _around(self, x, function):
        norm = keras.layers.LayerNormalization(epsilon=self.described.get("epsilon", 1e-5))
        add = keras.layers.Add()
        first = self.described.get("norm_first", False)
        y = add([x, function(norm(x))]) if first else norm(add([x, function(x)]))
        self.parts.append(norm)
        return y

    def _attention(self, features):
        layer = heads({"key_dim": features // self.described["num_heads"], **self.described})
        self.parts.append(layer)
        return layer

    def __call__(self, read):
        x, *memory = read if isinstance(read, list) else [read]
        features = x.shape[-1]
        causal = bool(memory) or self.described.get("causal", False)
        own = self._attention(features)
        x = self._around(x, lambda y: attend(own, causal, y))
        if memory:
            cross = self._attention(features)
            x = self._around(x, lambda y: attend(cross, False, y, memory[0]))
        activation = self.described.get("activation", "relu")
        network = keras.layers.Dense(self.described["units"], activation), keras.layers.Dense(features)
        self.parts += network
        return self._around(x, lambda y: network[1](network[0](y)))

    @property
    def trainable_weights(self):
        return [weight for part in self.parts for weight in part.trainable_weights]


LAYERS = {
    "attention": lambda layer: Attending(keras.layers.Attention, layer, "use_scale", "score_mode"),
    "additive_attention": lambda layer: Attending(keras.layers.AdditiveAttention, layer, "use_scale"),
    "multi_head_attention": Heads,
    "transformer_encoder": Block,
    "transformer_decoder": Block,
}
