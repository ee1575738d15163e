"""Formal languages, learned on short sequences and asked of long ones: which cells track a state, and which cannot.

    python formal_languages.py [cell ...] [--task parity] [--steps 5000]

parity   a sequence of bits, and after each the parity of the bits so far
modular  numbers from 0 to 4 with + - * between them, and after each the value so far modulo 5, from left to right

Trained on lengths 3 to 40, tested on 40 to 256. LSTM, GRU and sLSTM feed their state back into their gates and can go
on for ever; the gates of mLSTM and minGRU and the weights of attention see the input alone, and these stay near chance
on long sequences (Beck et al. 2024, arXiv 2405.04517, section 4.1; Delétang et al. 2023 for the tasks).
"""

import argparse

import numpy as np

import lstm
from lstm.layers import GRU, LSTM, MLSTM, SLSTM, Dense, Input, MinGRU, PositionalEncoding, TransformerEncoder
from lstm.losses import SparseCategoricalCrossentropy
from lstm.optimizers import Adam

CELLS = {
    "lstm": lambda: [LSTM(16, return_sequences=True)],
    "gru": lambda: [GRU(16, return_sequences=True)],
    "slstm": lambda: [SLSTM(16, forget_bias="zeros", return_sequences=True)],
    "mlstm": lambda: [MLSTM(16, heads=2, return_sequences=True)],
    "min_gru": lambda: [MinGRU(16, activation="linear", return_sequences=True)],
    "transformer": lambda: [
        *(Dense(32), PositionalEncoding()),
        *(TransformerEncoder(64, 4, norm_first=True, causal=True) for _ in range(2)),
    ],
}


def parity(random, rows, steps):
    """Tokens of two kinds, and the parities so far, [rows, steps] each."""
    bits = random.integers(0, 2, (rows, steps))
    return bits, np.cumsum(bits, axis=1) % 2


def modular(random, rows, steps):
    """Tokens of eight kinds, numbers at even and operators at odd places, and the values so far, [rows, steps] each."""
    tokens = random.integers(0, 5, (rows, steps))
    tokens[:, 1::2] = random.integers(5, 8, (rows, steps // 2))
    values = np.empty((rows, steps), int)
    values[:, 0] = tokens[:, 0]
    for step in range(1, steps):
        operator, number, value = tokens[:, step - 1], tokens[:, step], values[:, step - 1]
        results = [value + number, value - number, value * number]
        values[:, step] = value if step % 2 else np.choose(operator - 5, results) % 5
    return tokens, values


TASKS = {"parity": (parity, 2, 2), "modular": (modular, 8, 5)}


def examples(task, random, rows, shortest, longest):
    """Tokens [rows, longest, kinds], one-hot, the class of each step, and the lengths of the sequences."""
    make, kinds, _ = TASKS[task]
    tokens, classes = make(random, rows, longest)
    return np.eye(kinds, dtype=np.float32)[tokens], classes, random.integers(shortest, longest + 1, rows)


def accuracy(model, x, classes, lengths):
    """The share of sequences of which the last answer is right."""
    rows, last = np.arange(len(x)), lengths - 1
    answers = model.predict(x, lengths=lengths, verbose=0, threads=1).argmax(-1)
    return np.mean(answers[rows, last] == classes[rows, last])


def learn(cell, task, steps, seed):
    """The share of right answers for short and for long sequences."""
    random = np.random.default_rng(seed)
    _, kinds, classes = TASKS[task]
    model = lstm.Sequential([Input((None, kinds)), *CELLS[cell](), Dense(classes)], seed=seed)
    rate = 0.001 if cell == "transformer" else 0.01
    model.compile(Adam(rate, clipnorm=1.0), SparseCategoricalCrossentropy(from_logits=True))
    with model.trainer(threads=1) as trainer:
        for _ in range(steps):
            x, y, lengths = examples(task, random, 64, 3, 40)
            trainer.step(x, y, lengths=lengths)
    return [accuracy(model, *examples(task, random, 256, *lengths)) for lengths in ((3, 40), (40, 256))]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("cells", nargs="*", default=list(CELLS))
    arguments.add_argument("--task", choices=TASKS, default="parity")
    arguments.add_argument("--steps", type=int, default=5000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    for cell in given.cells:
        short, long = learn(cell, given.task, given.steps, given.seed)
        print(f"{cell:11} lengths 3-40: {short:.3f}   lengths 40-256: {long:.3f}", flush=True)


if __name__ == "__main__":
    main()
