"""Golden cases of models with several inputs and outputs, and of states that go from layer to layer."""

import zlib

import numpy as np
from golden_file import GoldenWriter
from golden_group import (
    DATA,
    bidirectional,
    dense,
    drawn_targets,
    embedding,
    gru,
    lstm,
    recurrent_weights,
    sequences,
    uniform,
)
from keras_many import KerasMany

MASK = np.array([list(row) for row in ("111111", "011110", "101001", "110000", "000011", "000000")]).astype(np.uint8)
ENDS = np.array([6, 2, 5, 1, 3, 4], np.int64)
OTHER_ENDS = np.array([3, 5, 4, 4, 1, 2], np.int64)
SGD = {"type": "sgd", "learning_rate": 0.2, "momentum": 0.5}
TARGETS = {"binary_crossentropy": "binary", "categorical_crossentropy": "onehot"}
TARGETS["sparse_categorical_crossentropy"] = "classes"


def joined(kind, *names, name="joined"):
    return {"type": kind, "inputs": list(names), "name": name}


def goal(loss, metrics=None, loss_weights=None, optimizer=SGD):
    described = {"loss": loss, "optimizer": optimizer}
    if metrics:
        described["metrics"] = metrics
    return {**described, "loss_weights": loss_weights} if loss_weights else described


class Many:
    """One file of cases; the initial weights are drawn for the layers in their order."""

    def __init__(self, name):
        self.name, self.writer = name, GoldenWriter()

    def save(self):
        path = DATA / f"{self.name}.npz"
        self.writer.save(path)
        print(f"{path.name}: {len(self.writer.cases)} cases, {path.stat().st_size} bytes")

    def add(self, name, inputs, layers, outputs, train, *, steps=3, evaluate=None, fit=None, weights=None, **padding):
        """`inputs` are {name: shape of x} or, of tokens, {name: (shape, vocabulary)}."""
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        tokens = {one: isinstance(shape[0], tuple) for one, shape in inputs.items()}
        x = {
            one: generator.integers(0, shape[1], shape[0]).astype(np.int32)
            if tokens[one]
            else generator.normal(size=shape).astype(np.float32)
            for one, shape in inputs.items()
        }
        shapes = {
            one: [None] if tokens[one] else ([None, *array.shape[2:]] if array.ndim > 2 else list(array.shape[1:]))
            for one, array in x.items()
        }
        description = {"inputs": [{"name": one, "shape": shapes[one]} for one in inputs], "layers": layers}
        if outputs:
            description["outputs"] = outputs
        description["training"] = train
        initial = initial_weights(layers, {one: array.shape[-1] for one, array in x.items()}, generator)
        masked = {one for kind in padding.values() for one in kind}

        def model():
            return KerasMany(description, initial, masked)

        case = {"name": name, "made_by": KerasMany.PROGRAM, "description": description, "initial": initial}
        batch = {"x": x, **padding}
        case["outputs"] = model().predict(batch)
        losses = train["loss"]
        batch["y"] = {}
        for output, values in case["outputs"].items():
            loss = losses.get(output) if isinstance(losses, dict) and "type" not in losses else losses
            batch["y"][output] = drawn_targets(TARGETS.get(loss, "numbers"), values.shape, generator)
        if weights:
            batch["weights"] = {output: np.asarray(given, np.float32) for output, given in weights.items()}
        case["batch"] = batch
        if steps:
            trained = model()
            case["steps"] = [trained.step(batch)]
            case["first_gradient"] = trained.gradient()
            case["steps"] += [trained.step(batch) for _ in range(steps - 1)]
            case["trained"] = trained.parameters()
        if evaluate:
            case["figures"] = {**evaluate, "columns": model().evaluate(batch, **evaluate)}
        if fit:
            fitted = model()
            case["epochs"] = {**fit, "history": fitted.fit(batch, **fit), "final": fitted.parameters()}
        self.writer.add(case)


def initial_weights(layers, known, generator):
    """Weights of every layer under the library's names; `known` are the features of the inputs."""
    known, weights, last = dict(known), {}, None
    for layer in layers:
        read = [known[name] for name in layer.get("inputs", [last])]
        name, kind, units = layer["name"], layer["type"], layer.get("units", read[0])
        if kind == "embedding":
            weights[f"{name}.weights"] = uniform(generator, 0.7, layer["vocabulary"], units)
        elif kind in ("lstm", "gru"):
            weights |= recurrent_weights(layer, f"{name}.", read[0], generator)
            known[f"{name}.hidden"] = known[f"{name}.memory"] = units
        elif kind == "bidirectional":
            units = layer["layer"]["units"]
            for way in ("forward", "backward"):
                weights |= recurrent_weights(layer["layer"], f"{name}.{way}_", read[0], generator)
                known[f"{name}.{way}_hidden"] = known[f"{name}.{way}_memory"] = units
            units *= 2
        elif kind == "dense":
            weights[f"{name}.weights"] = uniform(generator, read[0] ** -0.5, read[0], units)
            weights[f"{name}.bias"] = uniform(generator, 0.5, units)
        elif kind == "concatenate":
            units = sum(read)
        known[name], last = units, name
    return weights


def many_cases():
    group = Many("many")
    both = {"evaluate": {"batch_size": 4}, "fit": {"epochs": 3, "batch_size": 4, "validation_split": 0.3}}
    series = [
        lstm(7, inputs=["a"], name="read"),
        dense(5, "tanh", inputs=["b"], name="wide"),
        joined("concatenate", "read", "wide"),
        dense(3, name="out"),
    ]
    group.add("a sequence and a vector", {"a": (6, 5, 4), "b": (6, 3)}, series, None, goal("mse"), steps=10)
    group.add("epochs", {"a": (11, 5, 4), "b": (11, 3)}, series, None, goal("mse", ["mae"]), steps=0, **both)
    two = [
        sequences(6, inputs=["a"], name="first"),
        gru(5, return_sequences=True, inputs=["b"], name="second"),
        joined("concatenate", "first", "second"),
        gru(4, name="both"),
        dense(2, name="out"),
    ]
    alike = {"a": (6, 6, 3), "b": (6, 6, 2)}
    group.add("two sequences", alike, two, None, goal("mse"))
    # Where inputs with different masks meet, Keras goes on where any is valid, the library where all are.
    group.add("two sequences, masks", alike, two, None, goal("mse"), mask={"a": MASK, "b": MASK})
    group.add("two sequences, lengths", alike, two, None, goal("mse"), lengths={"a": ENDS, "b": ENDS})
    apart = [
        lstm(6, inputs=["a"], name="first"),
        gru(5, inputs=["b"], name="second"),
        joined("concatenate", "first", "second"),
        dense(2, name="out"),
    ]
    group.add("of different timesteps", {"a": (6, 4, 3), "b": (6, 7, 2)}, apart, None, goal("mse"))
    ends = {"a": ENDS, "b": OTHER_ENDS}
    group.add("of different lengths", alike, apart, None, goal("mse"), lengths=ends, steps=10)
    group.add("of the same lengths", alike, apart, None, goal("mse"), lengths={"a": ENDS, "b": ENDS}, steps=10)
    words = [
        embedding(9, 4, inputs=["a"], name="one", mask_zero=True),
        lstm(6, name="first"),
        embedding(7, 5, inputs=["b"], name="two"),
        gru(6, name="second"),
        joined("add", "first", "second"),
        dense(1, "sigmoid", name="out"),
    ]
    tokens = {"a": ((6, 5), 9), "b": ((6, 3), 7)}
    group.add("two tables", tokens, words, None, goal("binary_crossentropy"), steps=10)
    output_cases(group, both)
    group.save()


def output_cases(group, both):
    trunk = [sequences(7, inputs=["x"], name="trunk")]
    heads = [
        *trunk,
        dense(2, inputs=["trunk"], name="each"),
        lstm(5, inputs=["trunk"], name="last"),
        dense(3, "softmax", name="kind"),
    ]
    losses = {"each": "mse", "kind": "sparse_categorical_crossentropy"}
    metrics = {"each": ["mae"], "kind": ["accuracy"]}
    weighted = goal(losses, metrics, {"each": 0.3, "kind": 2.0})
    group.add("two outputs", {"x": (6, 5, 4)}, heads, ["each", "kind"], goal(losses))
    group.add("two outputs, weights", {"x": (6, 5, 4)}, heads, ["each", "kind"], weighted, steps=10)
    group.add("two outputs, epochs", {"x": (11, 5, 4)}, heads, ["each", "kind"], weighted, steps=0, **both)
    group.add("two outputs, other order", {"x": (11, 5, 4)}, heads, ["kind", "each"], weighted, steps=2, **both)
    lengths = {"lengths": {"x": ENDS}}
    group.add("two outputs, lengths", {"x": (6, 6, 4)}, heads, ["each", "kind"], weighted, steps=10, **lengths)
    group.add("two outputs, mask", {"x": (6, 6, 4)}, heads, ["each", "kind"], weighted, mask={"x": MASK})
    by_output = {"each": [0.5, 2, 0, 1, 1, 3], "kind": [1, 0.25, 1, 0, 2, 1]}
    counted = {"weights": by_output, "evaluate": {"batch_size": 4}}
    group.add("two outputs, sample weights", {"x": (6, 5, 4)}, heads, ["each", "kind"], weighted, **counted)
    only = {"each": by_output["each"]}
    group.add("weights of one", {"x": (6, 5, 4)}, heads, ["each", "kind"], weighted, weights=only)
    onward = [
        lstm(6, inputs=["x"], name="first"),
        dense(6, "tanh", inputs=["first"], name="middle"),
        joined("add", "first", "middle"),
        dense(2, "sigmoid", name="out"),
    ]
    losses = {"first": "mae", "middle": "mse", "out": "binary_crossentropy"}
    group.add("outputs that others read", {"x": (6, 5, 4)}, onward, ["first", "middle", "out"], goal(losses), steps=10)
    same = [dense(4, "tanh", inputs=["a"], name="one"), dense(4, inputs=["b"], name="two")]
    group.add("two apart, one loss", {"a": (5, 3), "b": (5, 2)}, same, ["one", "two"], goal("mse"))
    sums = [*same, joined("add", "one", "two"), dense(3, "softmax", name="out")]
    losses = goal({"joined": "mse", "out": "categorical_crossentropy"}, {"out": ["accuracy"], "joined": ["mae", "mse"]})
    group.add("several of both", {"a": (9, 3), "b": (9, 2)}, sums, ["out", "joined"], losses, steps=2, **both)


def state_cases():
    group = Many("states")
    source, target = {"source": (6, 5, 3)}, {"target": (6, 4, 2)}
    loss = goal("sparse_categorical_crossentropy", ["accuracy"])
    ends = {"source": np.array([5, 1, 3, 2, 4, 5], np.int64), "target": np.array([4, 3, 1, 2, 4, 2], np.int64)}
    gaps = np.array([list(row) for row in ("11111", "01110", "10100", "11000", "00011", "00000")]).astype(np.uint8)
    kinds = {"lstm": (lstm, ("hidden", "memory"), {}), "gru": (gru, ("hidden",), {})}
    kinds["gru, reset before"] = (gru, ("hidden",), {"reset_after": False})
    for kind, (layer, states, fields) in kinds.items():
        named = [f"encoder.{state}" for state in states]

        def pair(named=named, layer=layer, fields=fields, **encoder):
            return [
                layer(7, inputs=["source"], name="encoder", **fields, **encoder),
                layer(7, inputs=["target", *named], return_sequences=True, name="decoder", **fields),
                dense(3, "softmax", name="out"),
            ]

        both = {"evaluate": {"batch_size": 4}, "fit": {"epochs": 3, "batch_size": 4}}
        group.add(f"{kind}", source | target, pair(), None, loss, steps=10, **both)
        group.add(f"{kind}, lengths", source | target, pair(), None, loss, steps=10, lengths=ends)
        group.add(f"{kind}, gaps", source | target, pair(), None, loss, mask={"source": gaps})
        group.add(f"{kind}, backwards", source | target, pair(go_backwards=True), None, loss, lengths=ends)
        read = [
            *pair(return_sequences=True)[:2],
            layer(4, inputs=["encoder"], name="more", **fields),
            layer(5, inputs=["decoder"], name="last", **fields),
            joined("concatenate", "more", "last"),
            dense(2, name="out"),
        ]
        group.add(f"{kind}, outputs and states", source | target, read, None, goal("mse"), lengths=ends)
        given = {"x": (6, 4, 2), **dict.fromkeys(states, (6, 5))}
        step = [layer(5, inputs=["x", *states], return_sequences=True, name="step", **fields), dense(2, name="out")]
        outputs = ["out", *(f"step.{state}" for state in states)]
        group.add(f"{kind}, states given and taken", given, step, outputs, goal("mse"), steps=0)
        learned = [dense(5, "tanh", inputs=[state], name=f"to_{state}") for state in states]
        both_ends = [
            *learned,
            layer(5, inputs=["x", *(f"to_{state}" for state in states)], name="step", **fields),
            joined("add", *(f"step.{state}" for state in (*states, *states)[:2])),
            dense(2, name="out"),
        ]
        group.add(f"{kind}, through states alone", given, both_ends, None, goal("mse"), steps=3)
    words = [
        embedding(9, 4, inputs=["source"], name="words", mask_zero=True),
        lstm(6, name="encoder"),
        embedding(7, 5, inputs=["target"], name="teacher"),
        lstm(6, inputs=["teacher", "encoder.hidden", "encoder.memory"], return_sequences=True, name="decoder"),
        dense(7, "softmax", name="out"),
    ]
    tokens = {"source": ((6, 5), 9), "target": ((6, 3), 7)}
    group.add("tokens", tokens, words, None, loss, steps=10)
    group.save()


def bidirectional_state_cases():
    """States of both directions, joined to those that a decoder begins with, and as outputs."""
    group = Many("bidirectional_states")
    shapes = {"source": (6, 5, 3), "target": (6, 4, 2)}
    ends = {"source": np.array([5, 1, 3, 2, 4, 5], np.int64), "target": np.array([4, 3, 1, 2, 4, 2], np.int64)}
    gaps = np.array([list(row) for row in ("11111", "01110", "10100", "11000", "00011", "00000")]).astype(np.uint8)
    for kind, layer, states in (("lstm", lstm, ("hidden", "memory")), ("gru", gru, ("hidden",))):
        both = {state: [f"encoder.{way}_{state}" for way in ("forward", "backward")] for state in states}
        begins = [f"joined_{state}" for state in states]
        ended = [
            bidirectional(layer(4), inputs=["source"], name="encoder"),
            *(joined("concatenate", *both[state], name=f"joined_{state}") for state in states),
            layer(8, inputs=["target", *begins], return_sequences=True, name="decoder"),
            dense(3, "softmax", name="out"),
        ]
        loss = goal("sparse_categorical_crossentropy")
        group.add(kind, shapes, ended, None, loss, steps=10)
        group.add(f"{kind}, lengths", shapes, ended, None, loss, lengths=ends)
        group.add(f"{kind}, gaps", shapes, ended, None, loss, mask={"source": gaps})
        read = [
            bidirectional(layer(5, return_sequences=True), "concat", inputs=["x"], name="encoder"),
            layer(4, name="last"),
            joined("multiply", *(name for state in states for name in both[state]), name="product"),
        ]
        outputs = ["last", "product", "encoder.backward_hidden"]
        lengths = {"x": ends["source"]}
        group.add(f"{kind}, outputs and states", {"x": (6, 5, 3)}, read, outputs, goal("mse"), lengths=lengths)
    group.save()
