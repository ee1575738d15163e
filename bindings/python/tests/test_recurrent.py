"""GRU and Bidirectional: their weights, and what they compute."""

import copy

import numpy as np
import pytest
from conftest import sigmoid

import lstm
from lstm.layers import GRU, LSTM, Bidirectional, Input


def test_weights_of_gru_and_bidirectional_have_kerass_order_and_shapes():
    layers = [GRU(4, return_sequences=True), GRU(3, reset_after=False, return_sequences=True)]
    layers += [Bidirectional(GRU(2, return_sequences=True), None), Bidirectional(LSTM(5, use_bias=False), "mul")]
    model = lstm.Sequential([Input((None, 7)), *layers[:3]])
    shapes = [(7, 12), (4, 12), (2, 12), (4, 9), (3, 9), (9,), *[(3, 6), (2, 6), (2, 6)] * 2]
    assert [weight.shape for weight in model.get_weights()] == shapes
    kinds = ("input_weights", "recurrent_weights", "bias")
    names = [f"bidirectional.{way}_{kind}" for way in ("forward", "backward") for kind in kinds]
    assert model.layers[2].weight_names == names
    other = lstm.Sequential([Input((None, 7)), layers[3]])
    assert [weight.shape for weight in other.get_weights()] == [(7, 20), (5, 20)] * 2
    assert other.count_params() == 2 * (140 + 100)


def gru(weights, x):
    """GRU in float64, from the equations: x [B, T, F] -> [B, T, units]; two rows of biases mean reset_after."""
    kernel, recurrent, bias = (np.asarray(weight, np.float64) for weight in weights)
    units, after = len(recurrent), bias.ndim == 2
    of_input, of_state = bias if after else (bias, 0 * bias)
    h, outputs = np.zeros((len(x), units)), []
    for t in range(x.shape[1]):
        z, r, n = np.split(x[:, t] @ kernel + of_input, 3, axis=1)
        z_of_state, r_of_state, n_of_state = np.split(h @ recurrent + of_state, 3, axis=1)
        z, r = sigmoid(z + z_of_state), sigmoid(r + r_of_state)
        n = np.tanh(n + (r * n_of_state if after else (r * h) @ recurrent[:, 2 * units :]))
        h = z * h + (1 - z) * n
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_and_bidirectional_compute_what_they_say(reset_after, rng):
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    cell = GRU(4, return_sequences=True, reset_after=reset_after)
    model = lstm.Sequential([cell, Bidirectional(copy.deepcopy(cell), None)], seed=2)
    model.build((None, None, 3))
    model.set_weights([rng.uniform(-0.7, 0.7, weight.shape) for weight in model.get_weights()])
    first = gru(model.layers[0].get_weights(), x)
    weights = model.layers[1].get_weights()
    forward, backward = gru(weights[:3], first), gru(weights[3:], first[:, ::-1])[:, ::-1]
    assert np.allclose(model.predict(x), np.stack([forward, backward], axis=2), atol=2e-6)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
def test_merges_of_bidirectional(merge, rng):
    """Each from the separate outputs, whose bits are those of a layer alone and of one that goes backwards."""
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    model = lstm.Sequential([Bidirectional(LSTM(4, return_sequences=True, input_shape=(None, 3)), merge)], seed=2)
    weights = [rng.uniform(-0.7, 0.7, weight.shape) for weight in model.get_weights()]
    model.set_weights(weights)
    alone = []
    for backwards, part in ((False, weights[:3]), (True, weights[3:])):
        one = lstm.Sequential([LSTM(4, return_sequences=True, go_backwards=backwards, input_shape=(None, 3))])
        one.set_weights(part)
        alone.append(one.predict(x))
    forward, backward = alone[0], alone[1][:, ::-1]
    expected = {
        "concat": np.concatenate([forward, backward], axis=-1),
        "sum": forward + backward,
        "mul": forward * backward,
        "ave": (forward + backward) / 2,
        None: np.stack([forward, backward], axis=-2),
    }
    assert np.array_equal(model.predict(x), expected[merge])
