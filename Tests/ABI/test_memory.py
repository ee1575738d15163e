"""How much memory training takes: the most that a fresh C process has resident, with two threads."""

import json

import harness

FLOAT = 4
ADAM = 4  # copies of the parameters: themselves, their gradient, and Adam's two moments


def measure(library, workshop, layers, loss, tokens, labels, rows, steps) -> tuple[int, int]:
    """Bytes before the model is made, and at most."""
    description = json.dumps({"layers": layers, "training": {"loss": loss, "optimizer": "adam"}})
    program = workshop.compile(harness.ABI / "peak_memory.c")
    output = harness.check([program, library, description, tokens, labels, rows, steps])
    return harness.figure(output, "before"), harness.figure(output, "peak")


def test_a_small_model_trains_in_ten_megabytes(library, workshop, capsys):
    """With Python and numpy, which take 30 MB, it is within 40 MB."""
    layers = [
        {"type": "embedding", "vocabulary": 10000, "units": 16},
        {"type": "lstm", "units": 32},
        {"type": "dense", "units": 1, "activation": "sigmoid"},
    ]
    before, peak = measure(library, workshop, layers, "binary_crossentropy", 10000, 2, rows=32, steps=120)
    harness.report(capsys, f"training, small model: {peak / 1e6:.1f} MB in all, {before / 1e6:.1f} MB of them before")
    assert peak <= 10e6


def test_a_large_model_trains_in_little_more_than_its_activations(library, workshop, capsys):
    """Besides the parameters, which count four times, the activations are the gates, c and h of each unit of a
    recurrent layer and the outputs of the others, at each step of each row: all that the backward pass reads. Packed
    weights, gradients on their way and the code have to do with less than a third of that."""
    vocabulary, embedded, units, rows, steps = 96, 64, 512, 64, 100
    recurrent = {"type": "lstm", "units": units, "return_sequences": True}
    layers = [
        {"type": "embedding", "vocabulary": vocabulary, "units": embedded},
        recurrent,
        recurrent,
        {"type": "dense", "units": vocabulary, "activation": "softmax"},
    ]
    loss = "sparse_categorical_crossentropy"
    before, peak = measure(library, workshop, layers, loss, vocabulary, vocabulary, rows, steps)
    weights = vocabulary * embedded + (embedded + units + 1) * 4 * units + (2 * units + 1) * 4 * units
    weights += (units + 1) * vocabulary
    activations = FLOAT * rows * steps * (embedded + 2 * 6 * units + vocabulary)
    ratio = (peak - before - ADAM * FLOAT * weights) / activations
    harness.report(capsys, f"training, large model: {peak / 1e6:.0f} MB, {ratio:.3f} of the activations")
    assert ratio < 1.3
