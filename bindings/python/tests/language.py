"""A language model for tests, and what it says comes next, by numpy in float64."""

import numpy as np

import lstm
from lstm.layers import GRU, LSTM, Dense, Dropout, Embedding

VOCABULARY = 6
PROMPT = [1, 4, 2]


def language(vocabulary=VOCABULARY, softmax=True, seed=1, scale=20.0, **embedding):
    """A model whose distributions are far from uniform."""
    layers = [
        Embedding(vocabulary, 5, **embedding),
        LSTM(7, return_sequences=True),
        Dropout(0.3),
        GRU(6),
        Dense(vocabulary, activation="softmax" if softmax else None),
    ]
    model = lstm.Sequential(layers, seed=seed)
    weights = model.get_weights()
    weights[0] = weights[0] * 60
    weights[-2] = weights[-2] * scale
    model.set_weights(weights)
    return model


MODEL = language()


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


class Oracle:
    """The log-probabilities of what comes next, from `predict` on the whole sequence."""

    def __init__(self, model, softmax=True):
        self.model, self.softmax, self.known = model, softmax, {}

    def next(self, tokens):
        """Of one sequence."""
        return self.all_next([tokens])[0]

    def all_next(self, rows):
        """Of sequences of one length."""
        missing = [row for row in map(tuple, rows) if row not in self.known]
        if missing:
            y = self.model.predict(np.array(missing)).astype(np.float64)
            logs = np.log(y / y.sum(-1, keepdims=True)) if self.softmax else log_softmax(y)
            self.known.update(zip(missing, logs))
        return np.array([self.known[tuple(row)] for row in rows])


ORACLE = Oracle(MODEL)


def greedy(oracle, prompt, length, allowed=lambda index, token: True):
    tokens, total = list(prompt), 0.0
    for index in range(length):
        logs = oracle.next(tokens)
        token = max((t for t in range(len(logs)) if allowed(index, t)), key=lambda t: logs[t])
        tokens.append(token)
        total += logs[token]
    return tokens[len(prompt) :], total
