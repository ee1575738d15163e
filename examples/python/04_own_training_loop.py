"""A training loop of one's own: batches made while training (sums of random numbers of different count), a learning
rate that falls, a look at the gradient, and an end when the loss is low enough.
"""

import numpy as np

import lstm
from lstm.layers import LSTM, Dense

rng = np.random.default_rng(1)


def make_batch(size=32, longest=10):
    """Sequences of 1 to `longest` numbers; the target is the sum of those before the end."""
    x = rng.random((size, longest, 1), np.float32) - 0.5
    lengths = rng.integers(1, longest + 1, size)
    valid = np.arange(longest) < lengths[:, np.newaxis]
    return x, (x[:, :, 0] * valid).sum(axis=1), lengths


model = lstm.Sequential([LSTM(16, input_shape=(None, 1)), Dense(1)])
model.compile(lstm.optimizers.Adam(clipnorm=1), "mse")

smooth, batch = 1.0, 0
with model.trainer() as trainer:
    while smooth > 0.002 and batch < 2000:
        x, y, lengths = make_batch()
        trainer.learning_rate = 0.01 / (1 + batch / 500)
        loss = trainer.step(x, y, lengths=lengths)  # what lies behind a sequence's end is never read
        smooth = 0.98 * smooth + 0.02 * loss
        if batch % 100 == 0:
            norm = np.linalg.norm(trainer.gradient("lstm.recurrent_weights"))
            print(f"batch {batch:4d}  loss {loss:.5f}  |gradient| {norm:.4f}")
        batch += 1
print(f"loss {smooth:.5f} after {batch} batches")

answer = model.predict([[[0.2], [-0.1], [0.3]]])[0, 0]
print(f"0.2 - 0.1 + 0.3 = {answer:.3f}")
assert abs(answer - 0.4) < 0.1
