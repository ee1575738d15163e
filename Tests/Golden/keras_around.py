"""The layers around the recurrent ones: how Keras makes them, their parameters, and how wide their outputs are."""

import keras
import numpy as np


class Last(keras.layers.Layer):
    """The last step that is no padding."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        if mask is None:
            return x[:, -1]
        steps = keras.ops.arange(x.shape[1], dtype="int32")
        last = keras.ops.max(keras.ops.where(mask, steps, 0), axis=1)
        return keras.ops.sum(x * keras.ops.cast(steps == last[:, None], x.dtype)[..., None], axis=1)

    def compute_mask(self, x, mask=None):
        return None


class Averages(keras.layers.AveragePooling1D):
    """Means of the steps that there are, as on Keras's other backends: on this one it repeats those at the ends."""

    def call(self, x):
        if self.padding == "valid":
            return super().call(x)
        steps, size, stride = x.shape[1], self.pool_size[0], self.strides[0]
        missing = max((-(-steps // stride) - 1) * stride + size - steps, 0)
        ends = [[0, 0], [missing // 2, missing - missing // 2], [0, 0]]
        counted = [keras.ops.pad(each, ends) for each in (x, keras.ops.ones_like(x))]
        total, ones = (keras.ops.average_pool(each, size, stride, "valid") for each in counted)
        return total / ones


class Slice(keras.layers.Layer):
    """Python's slice of the features or of the timesteps."""

    def __init__(self, start=0, stop=None, axis="features"):
        super().__init__()
        self.slice = (slice(None), slice(start, stop)) if axis == "time" else (..., slice(start, stop))

    def call(self, x):
        return x[self.slice]


class Positions(keras.layers.Layer):
    """Joins an input with the same code for each row."""

    def __init__(self, merge="add"):
        super().__init__()
        self.merge = merge

    def compute_output_shape(self, shape):
        return (*shape[:-1], shape[-1] * (1 if self.merge == "add" else 2))

    def call(self, x):
        code = keras.ops.broadcast_to(self.code(x.shape[1], x.shape[2]), keras.ops.shape(x))
        return x + code if self.merge == "add" else keras.ops.concatenate([x, code], axis=-1)


class Encoding(Positions):
    """Vaswani et al. 2017, section 3.5, in numpy."""

    def __init__(self, max_wavelength=10000, merge="add"):
        super().__init__(merge)
        self.max_wavelength = max_wavelength

    def code(self, steps, features):
        code = np.zeros((steps, features))
        position = np.arange(steps)[:, None]
        for i in range(0, features, 2):
            angle = position[:, 0] / self.max_wavelength ** (i / features)
            code[:, i] = np.sin(angle)
            if i + 1 < features:
                code[:, i + 1] = np.cos(angle)
        return keras.ops.convert_to_tensor(code)


class LearnedPositions(Positions):
    def __init__(self, length, merge="add"):
        super().__init__(merge)
        self.length = length

    def build(self, shape):
        self.table = self.add_weight(shape=(self.length, shape[-1]))

    def code(self, steps, features):
        return self.table[:steps]


LAYERS = {
    "batch_normalization": keras.layers.BatchNormalization,
    "layer_normalization": keras.layers.LayerNormalization,
    "group_normalization": keras.layers.GroupNormalization,
    "masking": keras.layers.Masking,
    "conv1d": keras.layers.Conv1D,
    "max_pooling": keras.layers.MaxPooling1D,
    "average_pooling": lambda pool_size=2, **fields: Averages(pool_size, **fields),
    "global_max_pooling": keras.layers.GlobalMaxPooling1D,
    "global_average_pooling": keras.layers.GlobalAveragePooling1D,
    "last": Last,
    "flatten": keras.layers.Flatten,
    "reshape": keras.layers.Reshape,
    "repeat_vector": keras.layers.RepeatVector,
    "slice": Slice,
    "cropping": lambda before=1, after=1: keras.layers.Cropping1D((before, after)),
    "zero_padding": lambda before=1, after=1: keras.layers.ZeroPadding1D((before, after)),
    "spatial_dropout": keras.layers.SpatialDropout1D,
    "gaussian_noise": keras.layers.GaussianNoise,
    "gaussian_dropout": keras.layers.GaussianDropout,
    "positional_encoding": Encoding,
    "position_embedding": LearnedPositions,
}


def fields(layer):
    return {key: value for key, value in layer.items() if key not in ("type", "name", "inputs")}


def is_one(layer):
    return layer["type"] in LAYERS


def made(layer):
    return LAYERS[layer["type"]](**fields(layer))


def trainable_kinds(layer):
    """The kinds of a layer's trainable parameters, in Keras's order."""
    if layer["type"] in ("layer_normalization", "batch_normalization", "group_normalization"):
        return ("gamma",) * layer.get("scale", True) + ("beta",) * layer.get("center", True)
    if layer["type"] == "conv1d":
        return ("weights",) + ("bias",) * layer.get("use_bias", True)
    return ("weights",) if layer["type"] == "position_embedding" else ()


def moving_kinds(layer):
    """Those that training changes without gradients, in Keras's order."""
    return ("moving_mean", "moving_variance") if layer["type"] == "batch_normalization" else ()


def drawn(layer, features, generator):
    """Parameters by their kinds, far from what they begin with, and the last extent of the output."""
    kinds, kind = trainable_kinds(layer), layer["type"]
    filters = layer.get("filters", features)
    shapes = {"gamma": (features,), "beta": (features,), "bias": (filters,)}
    shapes["weights"] = (
        (layer["kernel_size"], features, filters) if kind == "conv1d" else (layer.get("length"), features)
    )
    scale = (layer["kernel_size"] * features) ** -0.5 if kind == "conv1d" else 1.5
    weights = {
        each: generator.uniform(-1, 1, shapes[each]).astype(np.float32) * np.float32(scale if each != "bias" else 0.5)
        for each in kinds
    }
    if kind == "batch_normalization":
        weights["moving_mean"] = generator.uniform(-1, 1, features).astype(np.float32)
        weights["moving_variance"] = generator.uniform(0.3, 3, features).astype(np.float32)
    if kind in ("positional_encoding", "position_embedding") and layer.get("merge") == "concat":
        return weights, 2 * features
    if kind == "slice" and layer.get("axis") != "time":
        return weights, len(range(features)[layer.get("start", 0) : layer.get("stop")])
    return weights, layer["target_shape"][-1] if kind == "reshape" else filters
