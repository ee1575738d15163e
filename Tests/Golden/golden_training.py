"""Golden cases of training: losses, metrics, optimizers, ten steps and whole epochs."""

import itertools
import zlib

import numpy as np
from golden_group import (
    ADAM,
    LENGTHS,
    MASK,
    RMSPROP,
    Group,
    dense,
    embedding,
    from_logits,
    lstm,
    sequences,
    training,
    uniform,
)
from keras_reference import KerasModelFloat32
from torch_reference import TorchModel

CLASSIFIERS = (
    ("binary_crossentropy", "sigmoid"),
    ("categorical_crossentropy", "softmax"),
    ("sparse_categorical_crossentropy", "softmax"),
)
LOSSES = (  # loss, activation before it, kind of targets
    ("mse", "linear", "numbers"),
    ("mae", "linear", "numbers"),
    ("huber", "linear", "numbers"),
    ({"type": "huber", "delta": 0.4}, "linear", "numbers"),
    ("binary_crossentropy", "sigmoid", "binary"),
    ("binary_crossentropy", "hard_sigmoid", "binary"),
    (from_logits("binary_crossentropy"), "linear", "binary"),
    ("categorical_crossentropy", "softmax", "onehot"),
    ("categorical_crossentropy", "softmax", "distribution"),
    ("categorical_crossentropy", "softplus", "onehot"),
    (from_logits("categorical_crossentropy"), "linear", "onehot"),
    ("sparse_categorical_crossentropy", "softmax", "classes"),
    ("sparse_categorical_crossentropy", "softplus", "classes"),
    (from_logits("sparse_categorical_crossentropy"), "linear", "classes"),
)
OPTIMIZERS = {
    "sgd": {"learning_rate": 0.2},
    "sgd, momentum": {"learning_rate": 0.1, "momentum": 0.8},
    "sgd, nesterov": {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True},
    "rmsprop": {"learning_rate": 0.01},
    "rmsprop, momentum": {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7},
    "rmsprop, centered": {"learning_rate": 0.01, "centered": True},
    "rmsprop, centered momentum": {"learning_rate": 0.01, "centered": True, "momentum": 0.5, "epsilon": 1e-4},
    "adam": {"learning_rate": 0.02},
    "adam, betas": {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3},
    "adam, amsgrad": {"learning_rate": 0.02, "beta_2": 0.6, "amsgrad": True},
    "adamw": {"learning_rate": 0.02},
    "adamw, amsgrad": {"learning_rate": 0.02, "beta_2": 0.6, "amsgrad": True},
    "adagrad": {"learning_rate": 0.1},
    "adagrad, from little": {"learning_rate": 0.02, "initial_accumulator_value": 0.01, "epsilon": 1e-3},
}
LIMITS = {  # all of them small enough to bite
    "free": {},
    "clipvalue": {"clipvalue": 0.02},
    "clipnorm": {"clipnorm": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.15},
    "weight_decay": {"weight_decay": 0.3},
    "clipnorm and weight_decay": {"clipnorm": 0.1, "weight_decay": 0.3},
}


def loss_cases():
    group = Group("losses")
    weights = np.array([0.5, 2, 0, 1.25, 3])
    for loss, activation, kind in LOSSES:
        name = loss if isinstance(loss, str) else " ".join(map(str, loss.values()))
        for place, layer in (("sequence", lstm(6)), ("step", sequences(6))):
            layers, described = [layer, dense(3, activation)], f"{name} of {activation} on {kind}, each {place}"
            fields = {"train": training(loss), "y": kind, "seed": place}
            group.add(described, layers, (5, 4, 2), **fields)
            group.add(f"{described}, weighted", layers, (5, 4, 2), weights=weights, **fields)
    binary = training("binary_crossentropy")
    group.add("one output", [lstm(6), dense(1, "sigmoid")], (5, 4, 2), binary, weights=weights)
    logits = training(from_logits("binary_crossentropy"))
    group.add("one output, from_logits", [lstm(6), dense(1)], (5, 4, 2), logits, weights=weights)
    group.add("sigmoid of lstm", [lstm(3, activation="sigmoid")], (5, 4, 2), binary, weights=weights)
    group.add("sigmoid layer", [lstm(3), {"type": "activation", "activation": "sigmoid"}], (5, 4, 2), binary)
    clipped_cases(group)
    extreme_cases(group)
    weighted_epochs(group)
    group.save()


def clipped_cases(group):
    """Probabilities of 0 and 1, right and wrong, which no sigmoid or softmax has made."""
    x, classes = np.array([[9, -9, 1], [-9, 9, 2], [-9, -9, 5], [7, -9, -9]], np.float32), np.array([1, 1, 0, 0])
    labels = np.array([[0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32)
    straight = {"dense.weights": np.eye(3, dtype=np.float32), "dense.bias": np.array([0.25, 0.5, -0.125], np.float32)}
    for loss, activation, y in (
        ("binary_crossentropy", "hard_sigmoid", labels),
        ("categorical_crossentropy", "relu", np.eye(3, dtype=np.float32)[classes]),
        ("sparse_categorical_crossentropy", "relu", classes.astype(np.int32)),
    ):
        fields = {"y": y, "initial": straight, "reference": KerasModelFloat32}
        group.add(f"{loss} of 0 and 1", [dense(3, activation)], x, training(loss), **fields)


def extreme_cases(group):
    """Logits of 50, right and wrong. Of the fused losses the reference is asked by from_logits."""
    x = np.array([[50, -50, 0.5], [-50, 50, -0.25], [50, 49, 0], [-1, 2, 50], [0, 0, 0]], np.float32)
    near_identity = np.eye(3, dtype=np.float32) + np.float32(0.01)
    initial = {"dense.weights": near_identity, "dense.bias": np.array([0.5, -0.25, 0.1], np.float32)}
    classes = np.array([0, 0, 1, 2, 2], np.int32)
    labels = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]], np.float32)
    for (loss, activation), y in zip(CLASSIFIERS, (labels, np.eye(3, dtype=np.float32)[classes], classes), strict=True):
        logits = [dense(3)], training(from_logits(loss))
        fields = {"y": y, "initial": initial}
        group.add(f"extreme {loss}, from_logits", logits[0], x, logits[1], **fields)
        group.add(f"extreme {loss}", [dense(3, activation)], x, training(loss), asked=logits, **fields)


def weighted_epochs(group):
    for loss, activation in CLASSIFIERS:
        outputs = 1 if activation == "sigmoid" else 3
        layers, shape = [lstm(6), dense(outputs, activation)], (11, 4, 2)
        metrics = ["accuracy", "mae"] if outputs == 1 else ["accuracy"]
        train = training(loss, ADAM, metrics)
        by_class = {"epochs": 4, "batch_size": 4, "class_weights": [0.5, 3.0, 1.5][: max(2, outputs)]}
        group.add(f"{loss}, class weights", layers, shape, train, steps=0, fit=by_class)
        by_class = {**by_class, "validation_split": 0.3}
        group.add(f"{loss}, class weights, validation", layers, shape, train, steps=0, fit=by_class)
        fit, weights = {"epochs": 4, "batch_size": 3, "validation_split": 0.2}, np.arange(11) / 4
        group.add(f"{loss}, sample weights, validation", layers, shape, train, steps=0, weights=weights, fit=fit)


def metric_cases():
    group = Group("metrics")
    confusion = ["precision", "recall", "auc"]
    binary = training("binary_crossentropy", metrics=["accuracy", "mse", "mae", *confusion])
    labels = training("binary_crossentropy", metrics=["accuracy", "binary_accuracy", *confusion])
    several = ["accuracy", "categorical_accuracy", "mse", "mae", *confusion]
    several = training("categorical_crossentropy", metrics=several)
    sparse = training("sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_accuracy"])
    logits = training(from_logits("binary_crossentropy"), metrics=["accuracy", "mae"])
    class_logits = training(from_logits("sparse_categorical_crossentropy"), metrics=["accuracy"])

    def add(name, train, outputs, activation, rows, layer=None, options=None, **fields):
        # Outputs that spread over the whole range, so that no metric rests on one side of its threshold.
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        spread = {"dense.weights": uniform(generator, 6, 6, outputs)}
        layers = [layer or lstm(6), dense(outputs, activation)]
        evaluate = {"batch_size": 4 if rows < 10 else 9, **(options or {})}
        group.add(name, layers, (rows, 6, 2), train, steps=0, initial=spread, evaluate=evaluate, **fields)

    add("binary", binary, 1, "sigmoid", 43)
    add("binary, one batch", binary, 1, "sigmoid", 13, options={"batch_size": 32})
    add("binary, many rows", binary, 1, "sigmoid", 300, options={"batch_size": 64})
    add("many labels", labels, 3, "sigmoid", 23)
    add("classes", several, 4, "softmax", 23)
    add("sparse classes", sparse, 4, "softmax", 23)
    add("regression", training("huber", metrics=["mse", "mae"]), 3, "linear", 23)
    add("binary logits", logits, 1, "linear", 43)
    add("class logits", class_logits, 4, "linear", 23)
    add("sample weights", binary, 1, "sigmoid", 23, weights=np.arange(23) / 8)
    add("class weights", sparse, 4, "softmax", 23, options={"class_weights": [0.5, 2.0, 0.0, 1.5]})
    add("binary at each step", binary, 1, "sigmoid", 7, sequences(6))
    add("sparse classes at each step", sparse, 4, "softmax", 7, sequences(6))
    add("masked numbers", training("mse", metrics=["mse", "mae"]), 3, "linear", 6, sequences(6), **MASK)
    add("masked classes", sparse, 4, "softmax", 6, sequences(6), **MASK)
    add("binary, masked", binary, 1, "sigmoid", 6, sequences(6), options={"of_valid": confusion}, **MASK)
    nothing, low = training("binary_crossentropy", metrics=confusion), {"dense.bias": np.array([-9], np.float32)}
    never = {"initial": low, "evaluate": {"batch_size": 4}}
    group.add("nothing predicted", [dense(1, "sigmoid")], (6, 2), nothing, steps=0, **never)
    group.save()


def optimizer_cases():
    group = Group("optimizers")
    fields = {"layers": [lstm(5), dense(2)], "x": (3, 4, 2), "steps": 10, "batches": 2, "seed": "optimizers"}
    for (name, optimizer), (limit, limits) in itertools.product(OPTIMIZERS.items(), LIMITS.items()):
        optimizer = {"type": name.split(",")[0], **optimizer, **limits}
        group.add(f"{name}, {limit}", train=training("mse", optimizer), **fields)
    for name in ("sgd", "rmsprop", "adam", "adamw", "adagrad"):
        group.add(f"{name} by default", train=training("mse", name), **fields)
    group.save()


def training_cases():
    group = Group("training")
    two = [sequences(8, name="first"), lstm(5, name="second"), dense(3)]
    steps = [sequences(8, name="first"), sequences(5, name="second"), dense(3, "softmax")]
    review = [embedding(13, 6), lstm(9), dense(1, "sigmoid")]
    zeros = [embedding(5, 6, mask_zero=True), *review[1:]]
    for optimizer in ({"type": "sgd", "learning_rate": 0.5, "momentum": 0.5}, RMSPROP, ADAM):

        def add(name, layers, x, loss, optimizer=optimizer, metrics=(), **fields):
            # All optimizers start from the same weights, on the same batches.
            train = training(loss, optimizer, metrics)
            group.add(f"{name}, {optimizer['type']}", layers, x, train, **{"seed": name, "steps": 10, **fields})

        binary = {"loss": "binary_crossentropy", "batches": 3}
        add("tokens", review, (5, 6), vocabulary=13, **binary)
        add("tokens, mask_zero", zeros, (7, 4), vocabulary=5, **binary)
        add("tokens, mask", review, (6, 6), vocabulary=13, **binary, **MASK)
        add("tokens, lengths", review, (5, 6), vocabulary=13, **binary, **LENGTHS)
        for kind, given, shape in (
            ("whole", {}, (4, 5, 3)),
            ("mask", MASK, (6, 6, 3)),
            ("lengths", LENGTHS, (5, 6, 3)),
        ):
            add(f"two layers, {kind}", two, shape, "mse", batches=3, **given)
            add(f"each step, {kind}", steps, shape, "sparse_categorical_crossentropy", batches=3, **given)
        slower = {**optimizer, "learning_rate": optimizer["learning_rate"] / 4}  # or rounding alone grows to 7e-6
        add("33 units", [lstm(33), dense(2)], (5, 4, 3), "mse", slower)
        fit = {"epochs": 5, "batch_size": 4, "validation_split": 0.2}
        add("epochs", two, (11, 5, 3), "mse", metrics=["mae"], steps=0, fit=fit)
    group.save()


def torch_cases():
    group = Group("torch", TorchModel)
    padded = {"lengths": np.array([6, 1, 3, 2, 5], np.int64), "valid_outputs": True}
    for units, (kind, layer) in itertools.product((7, 17, 33), {"last output": lstm, "sequences": sequences}.items()):
        name = f"{units} units, {kind}"
        group.add(name, [layer(units)], (3, 5, 4), seed=str(units))
        group.add(f"{name}, lengths", [layer(units)], (5, 6, 4), seed=str(units), **padded)
    two = [sequences(7, name="first"), lstm(5, name="second"), dense(3)]
    steps = [sequences(7, name="first"), sequences(5, name="second"), dense(3)]
    tokens, classes = [embedding(13, 6), lstm(9), dense(3)], from_logits("sparse_categorical_crossentropy")
    nesterov = {"type": "sgd", "learning_rate": 0.2, "momentum": 0.6, "nesterov": True}
    for name, optimizer in (("sgd", {"type": "sgd", "learning_rate": 0.5}), ("nesterov", nesterov), ("adam", ADAM)):
        numbers, chosen = training("mse", optimizer), training(classes, optimizer)
        ten = {"steps": 10, "batches": 2}
        group.add(f"two layers, {name}", two, (3, 5, 4), numbers, seed="two", **ten)
        group.add(f"two layers, lengths, {name}", two, (5, 6, 4), numbers, seed="padded", **ten, **padded)
        group.add(f"each step, lengths, {name}", steps, (5, 6, 4), chosen, seed="steps", **ten, **padded)
        group.add(f"tokens, lengths, {name}", tokens, (5, 6), chosen, vocabulary=13, seed="tokens", **ten, **padded)
    group.save()
