"""Golden cases of recurrent cells beyond the standard ones: outputs, gradients, masks, ten steps."""

import numpy as np
from golden_group import ADAM, LENGTHS, MASK, SGD, Group, bidirectional, dense, embedding, lstm, simple, training
from golden_layers import ACTIVATIONS, PALINDROMES
from torch_reference import TorchModel

PACKED = {"lengths": np.array([6, 1, 3, 2, 5], np.int64), "valid_outputs": True}


def simple_sequences(units, **fields):
    return simple(units, return_sequences=True, **fields)


def simple_cases():
    group = Group("simple")
    add = group.add
    add("last output", [simple(7)], (3, 5, 4))
    add("backwards", [simple(7, go_backwards=True)], (3, 5, 4))
    add("backwards, sequences", [simple_sequences(7, go_backwards=True)], (3, 5, 4))
    add("without bias", [simple_sequences(7, use_bias=False)], (3, 5, 4))
    add("one of all", [simple(1)], (1, 1, 1))
    for units, shape in ((8, (2, 5, 3)), (17, (3, 5, 4)), (70, (2, 3, 2))):
        add(f"{units} units", [simple_sequences(units)], shape)
    add("many rows", [simple_sequences(5)], (37, 3, 2))
    add("many steps", [simple_sequences(9)], (2, 60, 3))
    add("two layers", [simple_sequences(7, name="first"), lstm(6, name="second")], (3, 5, 4))
    for activation in ACTIVATIONS:
        add(activation, [simple_sequences(5, activation=activation)], (3, 4, 2), seed="activation")
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        kind = next(iter(given))
        add(f"last output, {kind}", [simple(7)], shape, **given)
        add(f"sequences, {kind}", [simple_sequences(17)], shape, **given)
        add(f"backwards, {kind}", [simple(7, go_backwards=True)], shape, **given)
        add(f"both ways, {kind}", [bidirectional(simple(5), "sum")], shape, **given)
    add("there and back", [simple_sequences(5, go_backwards=True), dense(2)], (6, 5, 3), mask=PALINDROMES)
    for merge in ("concat", "mul", None):
        add(f"both ways, sequences, {merge}", [bidirectional(simple_sequences(5), merge)], (3, 5, 4))
    two = [simple_sequences(8, name="first"), simple(5, name="second"), dense(3)]
    review = [embedding(5, 6, mask_zero=True), simple(9), dense(1, "sigmoid")]
    for optimizer in (SGD, ADAM):
        ten = {"steps": 10, "batches": 3}
        add(f"two layers, {optimizer['type']}", two, (4, 5, 3), training("mse", optimizer), **ten)
        binary = training("binary_crossentropy", optimizer)
        add(f"tokens, {optimizer['type']}", review, (7, 4), binary, vocabulary=5, **ten)
    torch = {"reference": TorchModel}
    for activation in ("tanh", "relu"):
        layers = [simple_sequences(17, activation=activation)]
        add(f"PyTorch, {activation}", layers, (3, 5, 4), **torch)
        add(f"PyTorch, {activation}, lengths", layers, (5, 6, 4), **torch, **PACKED)
    add("PyTorch, both ways", [bidirectional(simple(7)), dense(2)], (3, 5, 4), steps=10, batches=2, **torch)
    group.save()
