"""Golden cases of recurrent cells beyond the standard ones: outputs, gradients, masks, ten steps."""

import numpy as np
from cells_reference import OnnxModel, PaperModel
from golden_group import (
    ADAM,
    LENGTHS,
    MASK,
    SGD,
    Group,
    bidirectional,
    dense,
    embedding,
    gru,
    lstm,
    sequences,
    simple,
    training,
)
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


PEEPHOLES, COUPLED, LEARNED = {"peepholes": True}, {"coupled_gates": True}, {"initial_state": "learned"}
ZONEOUT = {"zoneout_hidden": 0.3, "zoneout_memory": 0.2}
CLIPS = {"gate_clip": 0.8, "cell_clip": 0.4}
# Of an lstm, so that each meets each that it can.
OPTIONS = {
    "peepholes": PEEPHOLES,
    "coupled": COUPLED,
    "clips": CLIPS,
    "learned start": LEARNED,
    "coupled, peepholes, learned start": {**COUPLED, **PEEPHOLES, **LEARNED},
    "clips, peepholes, learned start": {**CLIPS, **PEEPHOLES, **LEARNED},
    "clips, coupled": {**CLIPS, **COUPLED},
    "projection, peepholes": {"projection": 3, **PEEPHOLES},
    "projection, coupled, clips, learned start": {"projection": 3, **COUPLED, **CLIPS, **LEARNED},
    "peepholes, silu, hard_sigmoid": {**PEEPHOLES, "activation": "silu", "recurrent_activation": "hard_sigmoid"},
}


def option_cases():
    group = Group("cell_options", PaperModel)
    add, whole = group.add, (3, 5, 4)
    for name, fields in OPTIONS.items():
        add(f"{name}", [sequences(7, **fields)], whole)
        add(f"{name}, backwards, lengths", [lstm(5, go_backwards=True, **fields)], (5, 6, 2), **LENGTHS)
        add(f"{name}, mask", [lstm(5, **fields), dense(2)], (6, 6, 2), **MASK)
    add("17 units", [sequences(17, **PEEPHOLES, **CLIPS, **LEARNED)], (3, 5, 2))
    for name, layer in {
        "gru, clip": gru(7, gate_clip=0.8),
        "gru, learned start": gru(7, **LEARNED),
        "gru, reset before, learned start": gru(7, reset_after=False, **LEARNED),
        "simple, learned start": simple(7, **LEARNED),
    }.items():
        add(name, [{**layer, "return_sequences": True}], whole)
        add(f"{name}, mask", [layer, dense(2)], (6, 6, 2), **MASK)
        add(f"{name}, both ways, lengths", [bidirectional(layer), dense(2)], (5, 6, 2), **LENGTHS)
    both = bidirectional(lstm(7, projection=3, **PEEPHOLES, **LEARNED))
    add("both ways, projection, peepholes, learned start", [both, dense(2)], (5, 6, 4), **LENGTHS)
    for name, layer in {
        "zoneout": sequences(7, **ZONEOUT),
        "zoneout, peepholes, coupled, clips": sequences(7, **ZONEOUT, **PEEPHOLES, **COUPLED, **CLIPS),
        "zoneout, projection": sequences(7, projection=3, zoneout_memory=0.2),
        "zoneout, gru, clip": gru(7, return_sequences=True, zoneout_hidden=0.3, gate_clip=0.8),
    }.items():
        add(f"{name}, at rest", [layer], whole, steps=0)
        add(f"{name}, at rest, mask", [layer], (6, 6, 4), steps=0, **MASK)
    group.save()


def option_training_cases():
    """And what PyTorch and ONNX Runtime have of the options."""
    group = Group("cell_options_trained", PaperModel)
    add, whole = group.add, (3, 5, 4)
    for optimizer in (SGD, ADAM):
        for name in ("coupled, peepholes, learned start", "projection, peepholes", "clips, peepholes, learned start"):
            layers = [sequences(5, name="first", **OPTIONS[name]), lstm(4, name="second", **OPTIONS[name]), dense(2)]
            train = training("mse", optimizer)
            add(f"{name}, {optimizer['type']}", layers, (4, 5, 3), train, seed=name, steps=10, batches=2)
    for units, projection in ((7, 3), (19, 9)):
        layers = [sequences(units, projection=projection)]
        add(f"PyTorch, {units} to {projection}", layers, whole, reference=TorchModel)
        add(f"PyTorch, {units} to {projection}, lengths", layers, (5, 6, 4), reference=TorchModel, **PACKED)
    both = [bidirectional(lstm(7, projection=3)), dense(2)]
    add("PyTorch, projection both ways", both, whole, steps=10, batches=2, reference=TorchModel)
    for name, fields in {
        "peepholes": PEEPHOLES,
        "coupled": COUPLED,
        "clip": {"gate_clip": 0.8},
        "coupled, peepholes": {**COUPLED, **PEEPHOLES},
        "clip, peepholes": {"gate_clip": 0.8, **PEEPHOLES},
    }.items():
        add(f"ONNX, {name}", [sequences(17, **fields)], whole, steps=0, reference=OnnxModel)
    group.save()
