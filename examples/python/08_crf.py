"""Tags that depend on their neighbours: a conditional random field beside a softmax for each step.

Each step shows one of four kinds of tag so noisily that it is often mistaken. But a tag is followed by itself or the
next one, never by another: what no single step tells, the neighbours do.
"""

import numpy as np

import lstm
from lstm.layers import CRF, Dense

TAGS, STEPS = 4, 20
rng = np.random.default_rng(1)


def sequences(count):
    tags = np.empty((count, STEPS), np.int64)
    tags[:, 0] = rng.integers(0, TAGS, count)
    for step in range(1, STEPS):
        tags[:, step] = (tags[:, step - 1] + (rng.random(count) < 0.3)) % TAGS
    return np.eye(TAGS, dtype=np.float32)[tags] + 0.6 * rng.normal(size=(count, STEPS, TAGS)), tags


def forbidden(tags):
    """The share of neighbours that can not be."""
    return np.mean(~np.isin((tags[:, 1:] - tags[:, :-1]) % TAGS, (0, 1)))


x, y = sequences(500)
x_test, y_test = sequences(200)
for name, layers, loss in [
    ("softmax", [Dense(TAGS, "softmax", input_shape=(None, TAGS))], "sparse_categorical_crossentropy"),
    ("crf", [Dense(TAGS, input_shape=(None, TAGS)), CRF(TAGS)], "crf"),
]:
    model = lstm.Sequential(layers, seed=1)
    model.compile(lstm.optimizers.Adam(0.05), loss, ["accuracy"])
    model.fit(x, y, epochs=30, verbose=0)
    tags = model.predict(x_test).argmax(-1)
    right = np.mean(tags == y_test)
    print(f"{name:8} right {100 * right:.1f} %, forbidden neighbours {100 * forbidden(tags):.1f} %")

print("learned scores of neighbours:")
print(np.round(model.get_weight("crf.transitions"), 1))

# The three most probable taggings of a sequence.
tags, logarithms = model.crf_decode(x_test[:1], top_paths=3)
for one, logarithm in zip(tags[:, 0], logarithms[0]):
    print("".join(map(str, one)), f"{np.exp(logarithm):.3f}")
print("".join(map(str, y_test[0])), "true")
assert right > 0.85 and forbidden(tags[0]) == 0
