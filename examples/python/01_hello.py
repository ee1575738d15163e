"""The hello world of recurrent networks: token sequences in, one probability out.

The labels are random, so that there is nothing to learn but the calls.
"""

import numpy as np

from lstm import Sequential
from lstm.layers import LSTM, Dense, Embedding

vocab_size, embedding_dim, max_length = 10000, 16, 120
model = Sequential(
    [
        Embedding(vocab_size, embedding_dim, input_length=max_length),
        LSTM(32),
        Dense(1, activation="sigmoid"),
    ]
)
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.summary()

rng = np.random.default_rng(1)
x_train = rng.integers(0, vocab_size, size=(100, max_length))
y_train = rng.integers(0, 2, size=(100, 1))
history = model.fit(x_train, y_train, epochs=5, validation_split=0.2)

print(history)
print(f"first sample: predicted {model.predict(x_train[:1])[0, 0]:.3f}, label {y_train[0, 0]}")
