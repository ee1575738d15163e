"""Golden cases of what goes on inside of layers, and of what outputs depend on."""

import zlib

import numpy as np
from golden_file import GoldenWriter
from golden_group import DATA, bidirectional, dense, embedding, gru, lstm, recurrent_weights, uniform
from torch_inside import Network, attention_inside, recurrent_inside, saliency

ENDS = np.array([6, 2, 5, 1], np.int64)
SGD = {"loss": "mse", "optimizer": "sgd"}
POINTS = 20


def drawn(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def inside_cases():
    writer = GoldenWriter()
    for padding in (False, True):
        for kind, layer, units in (("lstm", lstm, 7), ("lstm", lstm, 19), ("gru", gru, 7), ("gru", gru, 18)):
            add_recurrent(writer, kind, layer(units, name="r"), padding)
            both = bidirectional(layer(units, return_sequences=True), name="r")
            add_recurrent(writer, kind, both, padding)
        for heads, causal in ((1, False), (2, False), (2, True)):
            add_attention(writer, heads, causal, padding)
        add_saliency(writer, padding)
    path = DATA / "inside.npz"
    writer.save(path)
    print(f"{path.name}: {len(writer.cases)} cases, {path.stat().st_size} bytes")


def case(name, layers, shape, generator, weights, padding, x=None):
    """The beginning of a case; x unless it is given, and where each row ends."""
    x = generator.normal(size=shape).astype(np.float32) if x is None else x
    batch = {"x": x, **({"lengths": ENDS} if padding else {})}
    description = {"layers": layers, "training": SGD}
    if x.dtype == np.float32:
        description["input_shape"] = [None, shape[2]]
    made = {"name": name, "description": description, "initial": weights, "batch": batch}
    return made, ENDS if padding else np.full(4, shape[1])


def add_recurrent(writer, kind, layer, padding):
    own = layer.get("layer", layer)
    name = f"{layer['type']} of {kind} {own['units']}{', lengths' if padding else ''}"
    generator, ways = drawn(name), {"forward_": False, "backward_": True} if own is not layer else {"": False}
    weights = {}
    for way in ways:
        weights |= recurrent_weights(own, f"r.{way}", 3, generator)
    made, ends = case(name, [layer], (4, 6, 3), generator, weights, padding)
    made["inside"] = {
        way + what: values
        for way, backwards in ways.items()
        for what, values in recurrent_inside(
            kind, own["units"], made["batch"]["x"], ends, weights, f"r.{way}", backwards
        ).items()
    }
    writer.add(made)


def add_attention(writer, heads, causal, padding):
    name = f"attention of {heads}{', causal' if causal else ''}{', lengths' if padding else ''}"
    generator, features = drawn(name), 8
    layer = {"type": "multi_head_attention", "num_heads": heads, "key_dim": features // heads, "causal": causal}
    weights = {}
    for part in ("query", "key", "value", "output"):
        weights[f"attention.{part}_weights"] = uniform(generator, 0.7, features, features)
        weights[f"attention.{part}_bias"] = uniform(generator, 0.5, features)
    made, ends = case(name, [{**layer, "name": "attention"}], (4, 6, features), generator, weights, padding)
    made["inside"] = {"attention": attention_inside(heads, made["batch"]["x"], ends, weights, causal)}
    writer.add(made)


def add_saliency(writer, padding):
    networks = {
        "lstm, lstm": [
            lstm(7, return_sequences=True, name="a"),
            lstm(6, name="b"),
            dense(3, "softmax", name="out"),
        ],
        "gru, each step": [gru(9, return_sequences=True, name="a"), dense(2, "sigmoid", name="out")],
        "tokens": [embedding(11, 4, name="table"), gru(6, name="b"), dense(1, "sigmoid", name="out")],
    }
    for kind, layers in networks.items():
        name = f"{kind}{', lengths' if padding else ''}"
        generator, weights, features = drawn(name), {}, 3
        for layer in layers:
            if layer["type"] == "embedding":
                weights["table.weights"] = uniform(generator, 0.7, 11, 4)
            elif layer["type"] == "dense":
                weights["out.weights"] = uniform(generator, 0.7, features, layer["units"])
                weights["out.bias"] = uniform(generator, 0.5, layer["units"])
            else:
                weights |= recurrent_weights(layer, f"{layer['name']}.", features, generator)
            features = layer["units"]
        tokens = generator.integers(0, 11, (4, 6)).astype(np.int32) if kind == "tokens" else None
        made, ends = case(name, layers, (4, 6, 3), generator, weights, padding, tokens)
        x = weights["table.weights"][tokens] if tokens is not None else made["batch"]["x"]
        made["output_number"] = 0 if kind != "lstm, lstm" else 2
        network = Network(layers, x.shape[2], weights)
        gradient, integrated = saliency(network, x, ends, made["output_number"], POINTS)
        made["saliency"] = {"gradient": gradient, "integrated": integrated, "points": POINTS}
        writer.add(made)
