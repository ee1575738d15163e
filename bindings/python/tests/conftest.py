import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "bindings" / "python"
sys.path[:0] = [str(PACKAGE), str(ROOT / "Tests" / "ABI")]

import lstm  # noqa: E402
from lstm.layers import LSTM, Dense, Embedding  # noqa: E402


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def regression(rng):
    """Sequences [40, 5, 3] and their sums [40, 1]."""
    x = rng.normal(size=(40, 5, 3)).astype(np.float32)
    return x, x.sum(axis=(1, 2))[:, np.newaxis]


@pytest.fixture
def regressor():
    """A compiled model for `regression`, with momentum and dropout, so that training has state to carry."""
    model = lstm.Sequential([LSTM(4, dropout=0.2, input_shape=(None, 3)), Dense(1)], seed=3)
    model.compile("adam", "mse", ["mae"])
    return model


@pytest.fixture
def classifier():
    """A compiled model that reads tokens 0...9, 0 as padding."""
    model = lstm.Sequential([Embedding(10, 4, mask_zero=True), LSTM(5), Dense(3, activation="softmax")], seed=1)
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return model


@pytest.fixture
def points(rng):
    x = rng.normal(size=(12, 2))
    return x, rng.normal(size=(12, 1))


def linear(optimizer="sgd", loss="mse", weights=((1.0, -2.0), 0.5), metrics=()):
    """y = x w + b, of which every figure can be told with numpy."""
    model = lstm.Sequential([Dense(1, input_shape=(2,))], seed=1)
    model.set_weights([np.array(weights[0])[:, np.newaxis], [weights[1]]])
    model.compile(optimizer, loss, list(metrics))
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(weights, x, valid=None):
    """LSTM and linear dense layer in float64, from the equations: x [B, T, F] -> [B, units of the dense layer].

    `valid` [B, T] is false where a step is padding, over which the state is carried.
    """
    kernel, recurrent, bias, dense, dense_bias = (np.asarray(weight, np.float64) for weight in weights)
    h = c = np.zeros((len(x), recurrent.shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        use = np.ones((len(x), 1), bool) if valid is None else valid[:, t, np.newaxis]
        h, c = np.where(use, new_h, h), np.where(use, new_c, c)
    return h @ dense + dense_bias


def described(model):
    """The model's description, as the C library gives it."""
    return json.loads(model.to_json())


def same_weights(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))
