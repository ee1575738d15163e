"""Golden cases of losses of whole rows: connectionist temporal classification and conditional random fields."""

import numpy as np
from golden_group import ADAM, LENGTHS, MASK, SGD, Group, dense, sequences, training
from label_reference import LabelModel

# Labels of five rows: of four kinds, one kind twice in a row, none, as many as there are steps, one.
LABELS = np.array([[1, 2, 3, 1], [2, 2, 1, 0], [0, 0, 0, 0], [3, 1, 2, 3], [2, 0, 0, 0]], np.int32)
# For rows of 6, 1, 3, 0 or some, and 5 steps.
FITTING = np.array([[1, 1, 3, 2], [2, 0, 0, 0], [2, 2, 0, 0], [3, 1, 2, 3], [0, 0, 0, 0]], np.int32)
SOME = {"lengths": np.array([6, 1, 3, 4, 5], np.int64)}
MASKED = np.array([[1, 1, 3], [2, 2, 0], [3, 2, 1], [1, 1, 0], [2, 0, 0], [1, 2, 3]], np.int32)


def ctc(**fields):
    return {"type": "ctc", **fields} if fields else "ctc"


def scores_of_tags(tags, scale=1.0):
    generator = np.random.default_rng(tags)
    shapes = {"crf.start": (tags,), "crf.transitions": (tags, tags), "crf.end": (tags,)}
    return {name: (scale * generator.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


def tag_cases():
    group = Group("tags", LabelModel)

    def add(name, layers, x, tags=4, optimizer=SGD, scale=1.0, initial=None, **fields):
        initial = {**scores_of_tags(tags, scale), **(initial or {})}
        train = training("crf", optimizer, ["accuracy"])
        group.add(name, layers, x, train, y="classes", initial=initial, valid_outputs=True, **fields)

    x, crf = (5, 6, 3), {"type": "crf", "units": 4}
    layers = [sequences(6), dense(4), crf]
    add("whole", layers, x)
    add("probabilities", [*layers[:2], {**crf, "output": "probabilities"}], x, seed="whole")
    add("weighted", layers, x, weights=np.array([0.5, 2, 0, 1.25, 3]))
    add("lengths", layers, x, **SOME)
    add("lengths, one of nothing", [dense(4), crf], x, **LENGTHS)
    add("mask", [dense(4), crf], (6, 6, 3), **MASK)
    add("mask, probabilities", [dense(4), {**crf, "output": "probabilities"}], (6, 6, 3), seed="mask", **MASK)
    add("hard transitions", layers, x, scale=100)
    add("one step", layers, (7, 1, 3))
    add("one tag", [dense(1), {"type": "crf", "units": 1}], x, tags=1, steps=0)
    add("many tags", [sequences(8), dense(17), {"type": "crf", "units": 17}], (3, 40, 4), tags=17)
    ten = {"steps": 10, "batches": 2, "optimizer": ADAM}
    add("ten steps", layers, x, **ten)
    add("ten steps, lengths", layers, x, **ten, **SOME)
    group.save()


def label_cases():
    group = Group("labels", LabelModel)

    def add(name, layers, x, loss, y=LABELS, optimizer=SGD, **fields):
        # PyTorch's outputs over padding are those of zeros.
        group.add(name, layers, x, training(loss, optimizer), y=y, valid_outputs=True, **fields)

    x, layers = (5, 6, 3), [sequences(6), dense(4)]
    add("logits", layers, x, ctc())
    add("logits, said", layers, x, ctc(from_logits=True), seed="logits")
    add("softmax", [sequences(6), dense(4, "softmax")], x, ctc(), seed="logits")
    add("softmax, said", [sequences(6), dense(4, "softmax")], x, ctc(from_logits=False), seed="logits")
    add("weighted", layers, x, ctc(), weights=np.array([0.5, 2, 0, 1.25, 3]))
    add("another blank", layers, x, ctc(blank=3), y=np.where(LABELS == 0, -1, LABELS % 3))
    add("lengths of labels", layers, x, ctc(), y_lengths=np.array([4, 3, 0, 2, 1], np.int64))
    add("lengths", layers, x, ctc(), y=FITTING, **SOME)
    add("lengths, one of nothing", [dense(4)], x, ctc(), y=FITTING, **LENGTHS)
    add("mask", [dense(4)], (6, 6, 3), ctc(), y=MASKED, **MASK)
    add("impossible rows", layers, (5, 3, 3), ctc(zero_infinity=True))
    large = {"dense.weights": 20 * np.sign(np.random.default_rng(5).normal(size=(6, 4))).astype(np.float32)}
    add("large logits", layers, x, ctc(), initial=large)
    long = np.random.default_rng(6).integers(1, 12, (3, 23)).astype(np.int32)
    add("long", [sequences(9), dense(12)], (3, 90, 4), ctc(), y=long)
    ten = {"steps": 10, "batches": 2, "optimizer": ADAM}
    add("ten steps", layers, x, ctc(), **ten)
    add("ten steps, lengths", layers, x, ctc(), y=FITTING, **ten, **SOME)
    group.save()
