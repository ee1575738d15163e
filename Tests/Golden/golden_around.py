"""Golden cases of the layers around the recurrent ones."""

import numpy as np
from golden_group import LENGTHS, MASK, Group, dense, gru, lstm, sequences, uniform

# Rows that have a step each.
SOME = {"mask": MASK["mask"][:5]}


def layer_normalization_cases():
    group = Group("layer_normalization")
    normalization = {"type": "layer_normalization"}
    group.add("rank 2", [normalization, dense(3)], (5, 4))
    group.add("rank 3", [dense(7, "tanh"), normalization], (2, 5, 4))
    group.add("rank 4", [normalization, dense(2)], (2, 5, 4, 3))
    for field in ("center", "scale"):
        group.add(f"without {field}", [dense(17), {**normalization, field: False}, dense(2, name="b")], (3, 4))
    group.add("neither", [{**normalization, "center": False, "scale": False}], (3, 19), steps=0)
    group.add("epsilon", [dense(5), {**normalization, "epsilon": 0.3}], (4, 3), steps=3)
    group.add("one feature", [normalization], (4, 1), steps=0)
    group.add("wide", [normalization, dense(2)], (3, 70))
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        between = [sequences(7), normalization, lstm(5, name="b")]
        group.add(f"between, {next(iter(given))}", between, shape, **given)
        group.add(f"last, {next(iter(given))}", [sequences(7), normalization], shape, valid_outputs=True, **given)
    group.save()


def unbiased(units):
    """What subtracts the mean takes a bias away again, whose gradient is then zero but for rounding."""
    return dense(units, use_bias=False)


def batch_normalization_cases():
    group = Group("batch_normalization")
    normalization = {"type": "batch_normalization", "momentum": 0.9}
    group.add("rank 2", [unbiased(7), normalization, dense(3, name="b")], (5, 4), steps=5, batches=2)
    group.add("rank 3", [normalization, lstm(5)], (3, 5, 4), steps=5, batches=2)
    group.add("rank 4", [normalization, dense(2)], (2, 5, 4, 3), steps=3)
    for field in ("center", "scale"):
        group.add(
            f"without {field}", [unbiased(17), {**normalization, field: False}, dense(2, name="b")], (6, 4), steps=3
        )
    group.add("defaults", [unbiased(19), {"type": "batch_normalization"}, dense(2, name="b")], (40, 4), steps=3)
    whole = {"evaluate": {"batch_size": 4}, "fit": {"batch_size": 4, "epochs": 3}}
    group.add("epochs", [unbiased(5), normalization, dense(1, name="b")], (10, 4), **whole)
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        kind = next(iter(given))
        group.add(f"between, {kind}", [sequences(7), normalization, lstm(5, name="b")], shape, steps=3, **given)
        group.add(f"first, {kind}", [normalization, lstm(5)], shape, steps=3, **given)
    group.save()


def conv1d(filters, kernel_size, **fields):
    return {"type": "conv1d", "filters": filters, "kernel_size": kernel_size, **fields}


def convolution_cases():
    group = Group("conv1d")
    for padding in ("valid", "same", "causal"):
        for name, fields, kernel, steps in (
            ("", {}, 3, 7),
            (", strides 2", {"strides": 2}, 3, 8),
            (", strides 2, odd", {"strides": 2}, 4, 9),
            (", strides 3, kernel 2", {"strides": 3}, 2, 8),
            (", dilated", {"dilation_rate": 3}, 3, 9),
            (", even", {}, 4, 6),
            (", kernel 1", {}, 1, 4),
        ):
            layers = [conv1d(6, kernel, padding=padding, **fields), lstm(3)]
            group.add(f"{padding}{name}", layers, (3, steps, 4))
    group.add("every step", [conv1d(19, 5, padding="same", activation="tanh"), dense(2)], (5, 9, 17))
    group.add("without bias", [dense(5), conv1d(3, 2, use_bias=False)], (2, 5, 4), steps=3)
    group.add("one of all", [conv1d(1, 1)], (1, 1, 1))
    group.add("two", [conv1d(7, 3, activation="relu", name="a"), conv1d(5, 3, name="b"), gru(4)], (3, 9, 4))
    group.add("wide", [conv1d(67, 3, padding="causal"), dense(2)], (2, 7, 33))
    for padding in ("same", "causal"):
        for dilation in (1, 2):
            layer = conv1d(6, 3, padding=padding, dilation_rate=dilation)
            group.add(f"{padding}, {dilation}, lengths", [layer], (5, 6, 4), steps=0, valid_outputs=True, **LENGTHS)
    group.save()


def pooling_cases():
    group = Group("pooling")
    for kind in ("max_pooling", "average_pooling"):
        for name, fields, steps in (
            ("", {}, 7),
            (", strides 1", {"pool_size": 3, "strides": 1}, 6),
            (", strides past it", {"pool_size": 2, "strides": 3}, 8),
            (", same", {"pool_size": 3, "strides": 2, "padding": "same"}, 8),
            (", same, strides 1", {"pool_size": 3, "strides": 1, "padding": "same"}, 5),
            (", same, odd", {"pool_size": 4, "padding": "same"}, 9),
        ):
            group.add(f"{kind}{name}", [dense(5), {"type": kind, **fields}, lstm(3)], (3, steps, 4))
        group.add(f"{kind} alone", [dense(19), {"type": kind}], (3, 6, 4))
    for kind in ("global_max_pooling", "global_average_pooling", "last"):
        layers = [dense(19, "tanh"), {"type": kind}, dense(2, name="b")]
        group.add(kind, layers, (3, 7, 4))
        group.add(f"{kind} of sequences", [sequences(5), {"type": kind}], (3, 7, 4))
        if kind != "global_max_pooling":
            group.add(f"{kind}, mask", layers, (5, 6, 4), **SOME)
            group.add(f"{kind} of sequences, mask", [sequences(5), {"type": kind}], (5, 6, 4), **SOME)
    group.save()


def shape_cases():
    group = Group("shapes")
    for axis, start, stop in (("features", 1, -1), ("features", -3, None), ("time", 2, None), ("time", -2, None)):
        layer = {"type": "slice", "axis": axis, "start": start} | ({} if stop is None else {"stop": stop})
        group.add(f"slice of {axis}, {start} to {stop}", [dense(6, "tanh"), layer, lstm(3)], (3, 5, 4))
    group.add("slice, time, both ends", [{"type": "slice", "axis": "time", "start": 1, "stop": -1}, lstm(3)], (3, 5, 4))
    for before, after in ((1, 1), (0, 2), (3, 0)):
        for kind in ("cropping", "zero_padding"):
            layers = [dense(5), {"type": kind, "before": before, "after": after}, lstm(3)]
            group.add(f"{kind}, {before} and {after}", layers, (3, 6, 4))
    group.add("repeat_vector", [lstm(5, name="a"), {"type": "repeat_vector", "n": 4}, gru(3), dense(2)], (3, 6, 4))
    folded = [dense(12, "tanh"), {"type": "reshape", "target_shape": [3, 4]}, lstm(5)]
    group.add("reshape", folded, (4, 7))
    group.add("reshape, -1", [dense(12), {"type": "reshape", "target_shape": [-1, 2]}, gru(3)], (4, 7))
    generator = np.random.default_rng(5)
    flat = {"dense.weights": uniform(generator, 0.3, 20, 2), "dense.bias": uniform(generator, 0.3, 2)}
    unfolded = [{"type": "reshape", "target_shape": [4, 3]}, sequences(5), {"type": "flatten"}, dense(2)]
    group.add("flatten", unfolded, (4, 12), initial=flat)
    group.save()


def noise_cases():
    group = Group("noise")
    layers = [
        {"type": "spatial_dropout", "rate": 0.4},
        {"type": "gaussian_noise", "stddev": 0.5},
        {"type": "gaussian_dropout", "rate": 0.3},
        lstm(5),
    ]
    group.add("at rest", layers, (3, 5, 4), steps=0, evaluate={"batch_size": 2})
    x = np.random.default_rng(3).normal(size=(4, 6, 3)).astype(np.float32)
    x[0, 4:] = x[1, 0] = x[2, 2:4] = x[3] = 0.5
    for name, layer in {"": {"mask_value": 0.5}, ", another": {}}.items():
        for kind, rest in {"last": [lstm(5)], "each": [sequences(5), dense(2)]}.items():
            group.add(f"masking{name}, {kind}", [{"type": "masking", **layer}, *rest], x)
    group.save()


def position_cases():
    group = Group("positions")
    for merge in ("add", "concat"):
        for fields in ({}, {"max_wavelength": 30}):
            layers = [dense(5), {"type": "positional_encoding", "merge": merge, **fields}, lstm(3)]
            group.add(f"encoding, {merge}, {fields}", layers, (3, 7, 4))
        layers = [dense(5), {"type": "position_embedding", "length": 9, "merge": merge}, lstm(3)]
        group.add(f"embedding, {merge}", layers, (3, 7, 4), steps=3)
    group.add("far", [{"type": "positional_encoding"}], (1, 300, 6), steps=0)
    group.save()
