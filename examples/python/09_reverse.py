"""An encoder and a decoder learn to write numbers backwards: the decoder begins with the states that the encoder ends
with, and is taught with the right digits before each (teacher forcing). Then it writes by itself, digit for digit.
"""

import numpy as np

import lstm
from lstm.layers import LSTM, Dense, Embedding, Input

rng = np.random.default_rng(1)
PAD, START, ZERO, LONGEST = 0, 1, 2, 6  # token 0 is padding, 1 begins an answer, from 2 on they are digits


def make_numbers(count):
    """Numbers of 3 to 6 digits, the answers, and what the decoder reads: the answers one digit later."""
    source = np.full((count, LONGEST), PAD)
    answer, given = source.copy(), source.copy()
    lengths = rng.integers(3, LONGEST + 1, count)
    for row, length in enumerate(lengths):
        digits = rng.integers(ZERO, ZERO + 10, length)
        source[row, :length], answer[row, :length] = digits, digits[::-1]
        given[row, :length] = [START, *digits[:0:-1]]
    return source, given, answer


source, given = Input((None,), name="source"), Input((None,), name="given")
_, *states = LSTM(64, return_state=True, name="encoder")(Embedding(12, 16, mask_zero=True)(source))
decoder = LSTM(64, return_sequences=True, name="decoder")
written = Dense(12, "softmax")(decoder(Embedding(12, 16, mask_zero=True)(given), initial_state=states))
model = lstm.Model([source, given], written, seed=1)
model.compile(lstm.optimizers.Adam(0.01, clipnorm=1), "sparse_categorical_crossentropy", ["accuracy"])
model.summary()

x, teacher, y = make_numbers(4000)
history = model.fit([x, teacher], y, batch_size=64, epochs=15, validation_split=0.1, verbose=2).history
print(f"digits right when taught: {history['val_accuracy'][-1]:.3f}")

x, _, y = make_numbers(200)
said = np.full((200, 1), START)
for _ in range(LONGEST):
    said = np.concatenate([said, model.predict([x, said])[:, -1:].argmax(-1)], axis=1)
right = (np.where(y == PAD, PAD, said[:, 1:]) == y).all(axis=1).mean()
for number, answer in zip(x[:3], said):
    digits = number[number != PAD] - ZERO
    print("".join(map(str, digits)), "->", "".join(map(str, answer[1 : len(digits) + 1] - ZERO)))
print(f"numbers reversed without a mistake: {right:.2f}")
assert right > 0.7
