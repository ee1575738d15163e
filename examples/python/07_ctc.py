"""Labels without alignment: what is 'spoken' in a noisy signal, learned from pairs of signals and texts alone.

Each letter is a pattern of a few numbers that lasts two to five timesteps; nothing tells where one ends. The loss sums
over all ways to place the letters (connectionist temporal classification), a beam search reads them.
"""

import numpy as np

import lstm
from lstm.layers import LSTM, Bidirectional, Dense

LETTERS, FEATURES, LONGEST = 8, 6, 7
rng = np.random.default_rng(5)
patterns = rng.normal(size=(LETTERS, FEATURES)).astype(np.float32)


def spoken(count):
    """Signals of different length, and the letters in each, from 1 to 8; 0 is the blank."""
    signals, texts = [], []
    for _ in range(count):
        # Of a letter twice in a row nobody could tell where the second begins.
        text = np.cumsum(rng.integers(1, LETTERS, rng.integers(2, LONGEST + 1))) % LETTERS
        steps = [patterns[letter] for letter in text for _ in range(rng.integers(2, 6))]
        signals.append(np.array(steps) + 0.3 * rng.normal(size=(len(steps), FEATURES)).astype(np.float32))
        texts.append(text + 1)
    return signals, texts


x, y = spoken(600)
x_test, y_test = spoken(100)
model = lstm.Sequential(
    [Bidirectional(LSTM(24, return_sequences=True), input_shape=(None, FEATURES)), Dense(LETTERS + 1)], seed=1
)
model.compile(lstm.optimizers.Adam(0.01), lstm.losses.CTC(), [lstm.metrics.TokenErrorRate()])
history = model.fit(x, y, epochs=20, verbose=0)
for epoch in range(0, 20, 4):
    figures = {name: values[epoch] for name, values in history.history.items()}
    print(f"epoch {epoch + 1}: loss {figures['loss']:.3f}, letters wrong {100 * figures['token_error_rate']:.1f} %")

loss, wrong = model.evaluate(x_test, y_test, verbose=0)
print(f"on new signals: loss {loss:.3f}, letters wrong {100 * wrong:.1f} %")

# The three most probable texts of a signal, with their probabilities.
labels, logarithms = model.ctc_decode(x_test[:1], strategy="beam_search", beam_width=20, top_paths=3)
print("spoken:", y_test[0])
for text, logarithm in zip(labels[:, 0], logarithms[0]):
    print(f"read:   {text[text >= 0]}  {np.exp(logarithm):.3f}")
assert wrong < 0.05
