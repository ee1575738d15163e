"""Parity, learned on short sequences and asked of long ones: which cells track a state, and which cannot.

    python formal_languages.py [cell ...] [--steps 3000]

A sequence of bits, and after each the parity of the bits so far. Trained on lengths 3 to 40, tested on 40 to 256.
LSTM, GRU and sLSTM feed their state back into their gates and can go on for ever; the gates of mLSTM and minGRU see the
input alone, and such cells stay at chance (Beck et al. 2024, arXiv 2405.04517, section 4.1).
"""

import argparse

import numpy as np

import lstm
from lstm.layers import GRU, LSTM, MLSTM, SLSTM, Dense, Input, MinGRU
from lstm.optimizers import Adam

CELLS = {
    "lstm": lambda: LSTM(16, return_sequences=True),
    "gru": lambda: GRU(16, return_sequences=True),
    "slstm": lambda: SLSTM(16, forget_bias="zeros", return_sequences=True),
    "mlstm": lambda: MLSTM(16, heads=2, return_sequences=True),
    "min_gru": lambda: MinGRU(16, activation="linear", return_sequences=True),
}


def parities(random, rows, shortest, longest):
    """Bits [rows, longest, 2], one-hot, their parities so far, and the lengths of the sequences."""
    bits = random.integers(0, 2, (rows, longest))
    lengths = random.integers(shortest, longest + 1, rows)
    return np.eye(2, dtype=np.float32)[bits], (np.cumsum(bits, axis=1) % 2).astype(np.float32)[..., None], lengths


def accuracy(model, x, parity, lengths):
    """The share of sequences whose whole parity is told right."""
    rows, last = np.arange(len(x)), lengths - 1
    answers = model.predict(x, lengths=lengths, verbose=0)
    return np.mean((answers[rows, last] > 0.5) == parity[rows, last])


def learn(cell, steps, seed=1):
    """The share of right answers for short and for long sequences."""
    random = np.random.default_rng(seed)
    model = lstm.Sequential([Input((None, 2)), CELLS[cell](), Dense(1, activation="sigmoid")], seed=seed)
    model.compile(loss="binary_crossentropy", optimizer=Adam(0.01, clipnorm=1.0))
    trainer = lstm.Trainer(model)
    for _ in range(steps):
        x, parity, lengths = parities(random, 64, 3, 40)
        trainer.step(x, parity, lengths=lengths)
    return [accuracy(model, *parities(random, 256, *lengths)) for lengths in ((3, 40), (40, 256))]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("cells", nargs="*", default=list(CELLS))
    arguments.add_argument("--steps", type=int, default=3000)
    given = arguments.parse_args()
    for cell in given.cells:
        short, long = learn(cell, given.steps)
        print(f"{cell:8} lengths 3-40: {short:.3f}   lengths 40-256: {long:.3f}", flush=True)


if __name__ == "__main__":
    main()
