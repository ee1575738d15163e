"""Golden cases of the layers: outputs and gradients."""

import itertools

import numpy as np
from golden_group import LENGTHS, MASK, Group, dense, embedding, lstm, sequences, training

ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu", "hard_sigmoid", "elu", "gelu", "silu", "softplus")
# Masks that read the same from both ends.
PALINDROMES = np.array([list(row) for row in ("11111", "01110", "10101", "11011", "00100", "00000")]).astype(np.uint8)


def lstm_cases():
    group = Group("lstm")
    group.add("last output", [lstm(7)], (3, 5, 4))
    group.add("sequences", [sequences(7)], (3, 5, 4))
    group.add("backwards", [lstm(7, go_backwards=True)], (3, 5, 4))
    group.add("backwards, sequences", [sequences(7, go_backwards=True)], (3, 5, 4))
    group.add("without bias", [sequences(7, use_bias=False)], (3, 5, 4))
    group.add("without forget bias", [lstm(6, unit_forget_bias=False)], (2, 4, 3))
    group.add("one step", [lstm(7)], (3, 1, 4))
    group.add("one row", [lstm(7)], (1, 5, 4))
    group.add("one of all", [lstm(1)], (1, 1, 1))
    for units, shape in ((8, (2, 5, 3)), (16, (5, 3, 8)), (17, (3, 5, 4)), (33, (4, 3, 17)), (70, (2, 3, 9))):
        group.add(f"{units} units", [sequences(units)], shape)
    group.add("many rows", [sequences(5)], (37, 3, 2))
    group.add("many features", [lstm(3)], (2, 4, 70))
    group.add("many steps", [sequences(9)], (2, 60, 3))
    group.add("two layers", [sequences(7, name="first"), lstm(6, name="second")], (3, 5, 4))
    three = [sequences(7, name="first"), sequences(5, name="second"), sequences(9, name="third")]
    group.add("three layers of sequences", three, (3, 4, 2))
    there_and_back = [sequences(6, go_backwards=True, name="first"), lstm(5, go_backwards=True, name="second")]
    group.add("there and back", there_and_back, (3, 4, 2))
    group.save()


def activation_cases():
    group = Group("activations")
    for activation, recurrent in itertools.product(ACTIVATIONS, ACTIVATIONS):
        layer = lstm(5, activation=activation, recurrent_activation=recurrent)
        group.add(f"{activation}, recurrent {recurrent}", [layer], (3, 4, 2), seed="lstm")
    grid = np.concatenate([np.linspace(-30, 30, 121), np.linspace(-3.5, 3.5, 67)]).astype(np.float32).reshape(4, 47)
    for activation in (*ACTIVATIONS, "softmax"):
        layer = {"type": "activation", "activation": activation}
        group.add(f"{activation} layer", [layer], grid, steps=0)
        group.add(f"dense {activation}", [dense(6, activation)], (5, 3), seed="dense")
        between = [dense(6, name="first"), layer, dense(2, name="second")]
        group.add(f"{activation} between", between, (5, 3), seed="between")
    group.save()


def layer_cases():
    group = Group("layers")
    group.add("dense, rank 2", [dense(7)], (5, 3))
    group.add("dense, rank 3", [dense(7)], (2, 5, 3))
    group.add("dense, rank 4", [dense(7, "tanh")], (2, 5, 4, 3))
    group.add("dense, one of all", [dense(1)], (1, 1))
    group.add("dense, wide", [dense(67, "tanh", name="first"), dense(33, name="second")], (19, 34))
    group.add("dense without bias", [dense(7, use_bias=False)], (5, 3))
    group.add("embedding", [embedding(11, 6)], (4, 5), vocabulary=11)
    group.add("embedding, dense", [embedding(11, 6), dense(3, "tanh")], (4, 5), vocabulary=11)
    group.add("embedding, lstm", [embedding(40, 17), lstm(9)], (4, 5), vocabulary=40)
    normalize = {"type": "normalize"}
    group.add("normalize, rank 2", [normalize, dense(3)], (5, 4))
    group.add("normalize, lstm", [normalize, lstm(3)], (2, 5, 4))
    flat = {"normalize.variance": np.array([0.5, 0, 2], np.float32)}
    group.add("normalize, no variance", [normalize], (4, 3), initial=flat, steps=0)
    dropped = [lstm(5, dropout=0.4), {"type": "dropout", "rate": 0.5}, dense(2)]
    group.add("dropout at rest", dropped, (3, 4, 2), steps=0, evaluate={"batch_size": 2})
    group.save()


def mask_cases():
    group = Group("masks")
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        kind = next(iter(given))
        for name, layers in {
            "last output": [lstm(7)],
            "sequences": [sequences(7)],
            "17 units": [sequences(17)],
            "backwards": [lstm(7, go_backwards=True)],
            "two layers": [sequences(7, name="first"), lstm(5, name="second")],
            "dense at each step": [sequences(7), dense(3)],
            "normalize": [{"type": "normalize"}, lstm(3)],
        }.items():
            group.add(f"{name}, {kind}", layers, shape, **given)
        group.add(f"tokens, {kind}", [embedding(11, 4), lstm(7)], shape[:2], vocabulary=11, **given)
        group.add(f"dense alone, {kind}", [dense(3, "tanh")], shape, valid_outputs=True, **given)
        back = [sequences(7, go_backwards=True)]
        group.add(f"backwards, sequences, {kind}", back, shape, steps=0, **given)
        weights = np.arange(shape[0]) / 2 + 0.25
        group.add(f"weights at each step, {kind}", [sequences(7), dense(3)], shape, weights=weights, **given)
        for loss, activation, outputs in (
            ("mae", "linear", 3),
            ("huber", "linear", 3),
            ("binary_crossentropy", "sigmoid", 3),
            ("binary_crossentropy", "sigmoid", 1),
            ("categorical_crossentropy", "softmax", 3),
            ("sparse_categorical_crossentropy", "softmax", 3),
        ):
            layers = [sequences(7), dense(outputs, activation)]
            group.add(f"{loss} of {outputs} at each step, {kind}", layers, shape, training(loss), **given)
    nothing = {"mask": np.zeros((2, 3), np.uint8)}
    group.add("all padding, last output", [lstm(7)], (2, 3, 4), **nothing)
    group.add("all padding, each step", [sequences(7), dense(3)], (2, 3, 4), **nothing)
    palindrome_cases(group)
    zeros = embedding(4, 3, mask_zero=True)
    group.add("mask_zero, embedding alone", [zeros], (7, 6), vocabulary=4)
    group.add("mask_zero, last output", [zeros, lstm(5)], (7, 6), vocabulary=4)
    two = [zeros, sequences(7, name="first"), lstm(5, name="second"), dense(2)]
    group.add("mask_zero, two layers", two, (7, 6), vocabulary=4)
    classes, steps = training("sparse_categorical_crossentropy"), [zeros, sequences(7), dense(3, "softmax")]
    group.add("mask_zero at each step", steps, (7, 6), classes, vocabulary=4)
    group.save()


def palindrome_cases(group):
    """Keras leaves the mask as it is where a layer turns the sequence round."""
    back = sequences(5, go_backwards=True, name="first")
    two = [back, lstm(4, go_backwards=True, name="second")]
    group.add("there and back, palindromes", two, (6, 5, 3), mask=PALINDROMES)
    group.add("backwards at each step, palindromes", [back, dense(3)], (6, 5, 3), mask=PALINDROMES)
