"""Looking inside: a network learns to add the two marked numbers of a sequence; then it is asked where it looked.

Each timestep has a number and a mark, 1 at two of them (Hochreiter & Schmidhuber 1997). Afterwards: how far the input
gates are open, which inputs an answer depends on, and the norms of the gradients while it learned.
"""

import numpy as np

import lstm
from lstm.layers import LSTM, Dense

STEPS = 12
rng = np.random.default_rng(3)


def marked(count):
    """Sequences [count, STEPS, 2], where the marks stand [count, 2], and the sums [count, 1]."""
    x = np.zeros((count, STEPS, 2), np.float32)
    x[:, :, 0] = rng.random((count, STEPS))
    places = np.array([rng.choice(STEPS, 2, replace=False) for _ in range(count)])
    np.put_along_axis(x[:, :, 1], places, 1, axis=1)
    return x, places, np.take_along_axis(x[:, :, 0], places, 1).sum(1, keepdims=True)


class Norms(lstm.callbacks.Callback):
    """The largest norm of a gradient in each epoch, which shows whether gradients explode or vanish."""

    def __init__(self):
        self.largest = []

    def on_epoch_begin(self, epoch, logs=None):
        self.largest.append(0.0)

    def on_train_batch_end(self, batch, logs=None):
        self.largest[-1] = max(self.largest[-1], *self.model.gradient_norms.values())


x, _, y = marked(4000)
model = lstm.Sequential([LSTM(24, input_shape=(STEPS, 2)), Dense(1)], seed=1)
model.compile(lstm.optimizers.Adam(0.01), "mse")
norms = Norms()
model.fit(x, y, epochs=15, verbose=0, callbacks=[norms])
print("largest norm of a gradient:", ", ".join(f"{norm:.2f}" for norm in norms.largest[::7]))

x_test, places, y_test = marked(500)
error = np.abs(model.predict(x_test) - y_test).mean()
print(f"mean error of the sum: {error:.3f}")

# How much of the answer comes from each timestep's number: from the two marked ones most of it should.
shown = np.abs(model.saliency(x_test, method="integrated_gradients", steps=50)[:, :, 0])
share = np.take_along_axis(shown, places, 1).sum() / shown.sum()
print(f"the share of the two marked numbers in the answer: {100 * share:.0f} % (by chance {100 * 2 / STEPS:.0f} %)")

# Input gates open where a mark stands.
gates = model.inspect(x_test, "lstm", "gates")
marks = x_test[:, :, 1] == 1
opened = gates[:, :, 0].mean(-1)
print(f"input gates: {opened[marks].mean():.2f} at marks, {opened[~marks].mean():.2f} elsewhere")
try:
    lstm.plot.gates(gates[0]).savefig("gates.png")
    lstm.plot.saliency(model.saliency(x_test[:1])[0]).savefig("saliency.png")
except ImportError:
    print("no pictures without matplotlib")
assert error < 0.05 and share > 0.6
