"""Golden cases of gru and bidirectional layers: outputs, gradients, masks, ten steps."""

import itertools

import numpy as np
from golden_group import (
    ADAM,
    LENGTHS,
    MASK,
    RMSPROP,
    SGD,
    Group,
    bidirectional,
    dense,
    embedding,
    from_logits,
    gru,
    lstm,
    training,
)
from golden_layers import ACTIVATIONS, PALINDROMES
from torch_reference import TorchModel

BOTH = {"after": {}, "before": {"reset_after": False}}
MERGES = ("concat", "sum", "mul", "ave", None)


def gru_sequences(units, **fields):
    return gru(units, return_sequences=True, **fields)


def gru_cases():
    group = Group("gru")
    for reset, mode in BOTH.items():

        def add(name, *arguments, reset=reset, **fields):
            # Both modes start from the same weights.
            group.add(f"{name}, reset {reset}", *arguments, **{"seed": name, **fields})

        add("last output", [gru(7, **mode)], (3, 5, 4))
        add("sequences", [gru_sequences(7, **mode)], (3, 5, 4))
        add("backwards", [gru(7, go_backwards=True, **mode)], (3, 5, 4))
        add("backwards, sequences", [gru_sequences(7, go_backwards=True, **mode)], (3, 5, 4))
        add("without bias", [gru_sequences(7, use_bias=False, **mode)], (3, 5, 4))
        add("one step", [gru(7, **mode)], (3, 1, 4))
        add("one row", [gru(7, **mode)], (1, 5, 4))
        add("one of all", [gru(1, **mode)], (1, 1, 1))
        for units, shape in ((8, (2, 5, 3)), (16, (5, 3, 8)), (17, (3, 5, 4)), (70, (2, 3, 2))):
            add(f"{units} units", [gru_sequences(units, **mode)], shape)
        add("many rows", [gru_sequences(5, **mode)], (37, 3, 2))
        add("many features", [gru(3, **mode)], (2, 4, 70))
        add("many steps", [gru_sequences(9, **mode)], (2, 60, 3))
        add("two layers", [gru_sequences(7, name="first", **mode), gru(6, name="second", **mode)], (3, 5, 4))
        add("before lstm", [gru_sequences(7, **mode), lstm(6)], (3, 5, 4))
        there = gru_sequences(6, go_backwards=True, name="first", **mode)
        add("there and back", [there, gru(5, go_backwards=True, name="second", **mode)], (3, 4, 2))
        # Not linear with linear: such gates multiply states to hundreds, differences of which no float32 holds.
        for shift, activation in itertools.product((2, 5, 7), ACTIVATIONS):
            recurrent = ACTIVATIONS[(ACTIVATIONS.index(activation) + shift) % len(ACTIVATIONS)]
            layer = gru(5, activation=activation, recurrent_activation=recurrent, **mode)
            add(f"{activation}, recurrent {recurrent}", [layer], (3, 4, 2), seed="gru")
        dropped = [gru(5, dropout=0.4, **mode), dense(2)]
        add("dropout at rest", dropped, (3, 4, 2), steps=0, evaluate={"batch_size": 2})
        gru_mask_cases(add, mode)
        gru_training_cases(add, mode)
    group.save()


def gru_mask_cases(add, mode):
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        kind = next(iter(given))
        for name, layers in {
            "last output": [gru(7, **mode)],
            "sequences": [gru_sequences(7, **mode)],
            "17 units": [gru_sequences(17, **mode)],
            "backwards": [gru(7, go_backwards=True, **mode)],
            "two layers": [gru_sequences(7, name="first", **mode), gru(5, name="second", **mode)],
            "dense at each step": [gru_sequences(7, **mode), dense(3)],
        }.items():
            add(f"{name}, {kind}", layers, shape, **given)
        add(f"tokens, {kind}", [embedding(11, 4), gru(7, **mode)], shape[:2], vocabulary=11, **given)
        back = [gru_sequences(7, go_backwards=True, **mode)]
        add(f"backwards, sequences, {kind}", back, shape, steps=0, **given)
    back = gru_sequences(5, go_backwards=True, name="first", **mode)
    two = [back, gru(4, go_backwards=True, name="second", **mode)]
    add("there and back, palindromes", two, (6, 5, 3), mask=PALINDROMES)
    zeros = embedding(4, 3, mask_zero=True)
    add("mask_zero", [zeros, gru_sequences(7, **mode), dense(2)], (7, 6), vocabulary=4)


def gru_training_cases(add, mode):
    two = [gru_sequences(8, name="first", **mode), gru(5, name="second", **mode), dense(3)]
    review = [embedding(5, 6, mask_zero=True), gru(9, **mode), dense(1, "sigmoid")]
    for optimizer in (SGD, RMSPROP, ADAM):
        for kind, given, shape in (("whole", {}, (4, 5, 3)), ("mask", MASK, (6, 6, 3))):
            name, fields = f"two layers, {kind}", {"steps": 10, "batches": 3, **given}
            add(f"{name}, {optimizer['type']}", two, shape, training("mse", optimizer), seed=name, **fields)
        train = training("binary_crossentropy", optimizer)
        tokens = {"vocabulary": 5, "seed": "tokens", "steps": 10, "batches": 3}
        add(f"tokens, {optimizer['type']}", review, (7, 4), train, **tokens)
    fit = {"epochs": 5, "batch_size": 4, "validation_split": 0.2}
    add("epochs", two, (11, 5, 3), training("mse", ADAM, ["mae"]), steps=0, fit=fit)


def bidirectional_cases():
    group = Group("bidirectional")
    for cell, make in {
        "lstm": lstm,
        "gru": gru,
        "gru, reset before": lambda units, **fields: gru(units, reset_after=False, **fields),
    }.items():

        def add(name, *arguments, cell=cell, **fields):
            group.add(f"{name} of {cell}", *arguments, **fields)

        def sequences(units, merge="concat", name=None, make=make, **fields):
            return bidirectional(
                make(units, return_sequences=True, **fields), merge, **({"name": name} if name else {})
            )

        for merge in MERGES if "before" not in cell else ("concat", None):
            add(f"last output, {merge}", [bidirectional(make(5), merge)], (3, 5, 4), seed=cell)
            add(f"sequences, {merge}", [sequences(5, merge)], (3, 5, 4), seed=cell)
            add(f"dense behind, {merge}", [sequences(5, merge), dense(2, "tanh")], (3, 5, 4), seed=cell)
            for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
                kind = next(iter(given))
                # Keras takes no mask for losses of an output of rank 4.
                padded = {"valid_outputs": True, "steps": 0 if merge is None else 1, **given}
                add(f"last output, {merge}, {kind}", [bidirectional(make(5), merge)], shape, seed=cell, **given)
                add(f"sequences, {merge}, {kind}", [sequences(5, merge)], shape, seed=cell, **padded)
        add("without bias", [sequences(7, use_bias=False)], (3, 5, 4))
        add("activations", [sequences(7, activation="silu", recurrent_activation="hard_sigmoid")], (3, 5, 4))
        add("one step", [bidirectional(make(7))], (3, 1, 4))
        add("one of all", [bidirectional(make(1))], (1, 1, 1))
        add("17 units", [sequences(17)], (3, 5, 4))
        add("many rows", [sequences(5)], (37, 3, 2))
        add("many steps", [sequences(5, "ave")], (2, 60, 3))
        add("two", [sequences(7, name="first"), bidirectional(make(5), "sum", name="second")], (3, 5, 4))
        add("before another cell", [sequences(7), {"gru": lstm, "lstm": gru}[make(1)["type"]](6)], (3, 5, 4))
        add("behind another", [make(6, return_sequences=True, go_backwards=True), sequences(5)], (3, 5, 4))
        dropped = [bidirectional(make(5, dropout=0.4)), dense(2)]
        add("dropout at rest", dropped, (3, 4, 2), steps=0, evaluate={"batch_size": 2})
        bidirectional_training_cases(add, make, sequences)
    group.save()


def bidirectional_training_cases(add, make, sequences):
    zeros = embedding(5, 6, mask_zero=True)
    classes = "sparse_categorical_crossentropy"
    for optimizer in (SGD, ADAM):
        ten, kind = {"steps": 10, "batches": 2}, optimizer["type"]
        two = [sequences(6, name="first"), bidirectional(make(5), "ave", name="second"), dense(3)]
        numbers = training("mse", optimizer)
        add(f"two, {kind}", two, (4, 5, 3), numbers, seed="two", **ten)
        add(f"two, mask, {kind}", two, (6, 6, 3), numbers, seed="two, mask", **ten, **MASK)
        add(f"two, lengths, {kind}", two, (5, 6, 3), numbers, seed="two, lengths", **ten, **LENGTHS)
        steps = [zeros, sequences(6, "mul"), dense(3, "softmax")]
        chosen = training(classes, optimizer)
        add(f"each step, {kind}", steps, (7, 4), chosen, vocabulary=5, seed="each step", valid_outputs=True, **ten)
        review = [zeros, bidirectional(make(9)), dense(1, "sigmoid")]
        binary = training("binary_crossentropy", optimizer)
        add(f"tokens, {kind}", review, (7, 4), binary, vocabulary=5, seed="tokens", **ten)


def torch_recurrent_cases():
    group = Group("torch_recurrent", TorchModel)
    whole, padded = (
        [(3, 5, 4), {}],
        [(5, 6, 4), {"lengths": np.array([6, 1, 3, 2, 5], np.int64), "valid_outputs": True}],
    )
    for units, (kind, (shape, given)) in itertools.product((7, 17), {"whole": whole, "lengths": padded}.items()):
        for name, make in {
            "gru": gru,
            "bidirectional lstm": lambda units, **fields: bidirectional(lstm(units, **fields)),
            "bidirectional gru": lambda units, **fields: bidirectional(gru(units, **fields)),
        }.items():
            fields = {"seed": f"{name}, {units} units, {kind}", **given}
            group.add(f"{name}, {units} units, last output, {kind}", [make(units)], shape, **fields)
            layers = [make(units, return_sequences=True)]
            group.add(f"{name}, {units} units, sequences, {kind}", layers, shape, **fields)
    classes = from_logits("sparse_categorical_crossentropy")
    for optimizer, (kind, (shape, given)) in itertools.product(
        (SGD, ADAM), {"whole": whole, "lengths": padded}.items()
    ):
        ten = {"steps": 10, "batches": 2, **given}
        both = [bidirectional(gru(7, return_sequences=True), name="first"), bidirectional(lstm(5), name="second")]
        name = f"two, {kind}, {optimizer['type']}"
        group.add(name, [*both, dense(3)], shape, training("mse", optimizer), seed=kind, **ten)
        steps = [embedding(13, 6), gru_sequences(9), dense(3)]
        chosen, tokens = training(classes, optimizer), {"vocabulary": 13, "seed": f"tokens, {kind}"}
        group.add(f"tokens, {kind}, {optimizer['type']}", steps, shape[:2], chosen, **tokens, **ten)
    group.save()
