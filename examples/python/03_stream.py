"""One value at a time: learns to foretell the next value of a signal, then listens to it step by step as it arrives.

The state is put aside in the middle and taken up again, and every answer has the bits of the whole sequence's answer.
"""

import numpy as np

import lstm
from lstm.layers import LSTM, Dense


def signal(steps):
    return (0.6 * np.sin(0.3 * steps) + 0.4 * np.sin(0.11 * steps)).astype(np.float32)


steps = 17 * np.arange(64)[:, np.newaxis] + np.arange(51)
sequences = signal(steps)[:, :, np.newaxis]

model = lstm.Sequential([LSTM(24, return_sequences=True, input_shape=(None, 1)), Dense(1)])
model.compile(lstm.optimizers.Adam(learning_rate=0.01), "mse")
model.fit(sequences[:, :-1], sequences[:, 1:], epochs=60, verbose=0)  # views, nothing is copied

# The whole sequence at once, to compare with.
incoming = signal(5000 + np.arange(51))
whole = model.predict(incoming[np.newaxis, :-1, np.newaxis])[0]

streamed = np.empty((50, 1), np.float32)
with model.stream() as stream:
    print(f"a step takes {stream.inputs} number and gives {stream.outputs}; the state is {stream.state.size} numbers")
    for step in range(25):
        stream.step(incoming[step], out=streamed[step])
    state = stream.state  # to be kept anywhere and for any time

# Another stream takes it over; a block of steps is one call.
with model.stream() as stream:
    stream.state = state
    stream.process(incoming[25:-1], out=streamed[25:])

print(f"mean error {np.abs(streamed[10:, 0] - incoming[11:]).mean():.4f}")
assert np.array_equal(streamed, whole)
print("streamed equals the whole sequence")
