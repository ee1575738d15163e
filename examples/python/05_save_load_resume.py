"""Training that was broken off and taken up again from a file ends with the same bits as training that never stopped.

The file holds the optimizer's state, the random state and the epochs done. usage: 05_save_load_resume.py [PATH]
"""

import pickle
import sys

import numpy as np

import lstm
from lstm.layers import LSTM, Dense

path = sys.argv[1] if len(sys.argv) > 1 else "resume.safetensors"
x = np.sin((3 * np.arange(96)[:, np.newaxis] + np.arange(12)) / 5)[:, :, np.newaxis]
y = x[:, -1]


def new_model():
    model = lstm.Sequential([LSTM(12, dropout=0.1, input_shape=(None, 1)), Dense(1)], seed=7)
    model.compile("rmsprop", "mse")
    return model


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))


straight = new_model()
straight.fit(x, y, epochs=6, verbose=0)

first = new_model()
first.fit(x, y, epochs=2, verbose=0)
first.save(path)

resumed = lstm.load_model(path)
resumed.fit(x, y, initial_epoch=2, epochs=6, verbose=0)
assert same(straight, resumed)
print("6 epochs equal 2 epochs, a file and 4 more")

# The same bytes in memory: to send, to keep in a database. Without the optimizer's state they are fewer.
whole, small = resumed.to_bytes(), resumed.to_bytes(save_weights_only=True)
assert same(resumed, lstm.from_bytes(small))
print(f"{len(whole)} bytes with the training state, {len(small)} without")

# Models pickle, as joblib, multiprocessing and many other tools need it.
assert same(resumed, pickle.loads(pickle.dumps(resumed)))
