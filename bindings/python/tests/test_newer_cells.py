"""MinGRU, MinLSTM, SLSTM and MLSTM: their weights, and what they compute, from the equations in float64."""

import numpy as np
import pytest
from conftest import sigmoid

import lstm
from lstm.layers import LSTM, MLSTM, SLSTM, Bidirectional, Dense, Input, MinGRU, MinLSTM


def g(x):
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def min_gru(weights, x, activation=g):
    (z, n), h = np.split(products(weights, x), 2, axis=-1), 0
    return [h := (1 - sigmoid(z[:, t])) * h + sigmoid(z[:, t]) * activation(n[:, t]) for t in range(x.shape[1])]


def min_lstm(weights, x, activation=g):
    i, f, n = np.split(products(weights, x), 3, axis=-1)
    i, f, h = sigmoid(i), sigmoid(f), 0
    return [h := (f[:, t] * h + i[:, t] * activation(n[:, t])) / (f[:, t] + i[:, t]) for t in range(x.shape[1])]


def slstm(weights, x, heads):
    *_, recurrent = weights
    units, p, outputs = len(recurrent), products(weights, x), []
    h = c = n = np.zeros((len(x), units))
    blocks = np.asarray(recurrent, np.float64).reshape(heads, units // heads, 4, units // heads)
    for t in range(x.shape[1]):
        fed = np.einsum("bhu,hugv->bghv", h.reshape(len(x), heads, -1), blocks).reshape(len(x), -1)
        i, f, z, o = np.split(p[:, t] + fed, 4, axis=-1)
        c, n = sigmoid(f) * c + np.exp(i) * np.tanh(z), sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        outputs.append(h)
    return outputs


def mlstm(weights, x, units, heads, key_dim, output_gate):
    p, outputs = products(weights, x), []
    sizes = [heads * key_dim, heads * key_dim, units, units * output_gate, heads, heads]
    c, n = 0, 0
    for t in range(x.shape[1]):
        q, k, v, o, i, f = np.split(p[:, t], np.cumsum(sizes)[:-1], axis=-1)
        q, k, v = (part.reshape(len(x), heads, -1) for part in (q, k / np.sqrt(key_dim), v))
        new, old = np.exp(i)[..., None], sigmoid(f)[..., None]
        c = old[..., None] * c + new[..., None] * k[..., None] * v[:, :, None]
        n = old * n + new * k
        divisor = np.maximum(np.abs((n * q).sum(-1)), 1)[..., None]
        h = (np.einsum("bhkv,bhk->bhv", c, q) / divisor).reshape(len(x), units)
        outputs.append(sigmoid(o) * h if output_gate else h)
    return outputs


def products(weights, x):
    kernel, bias, *_ = (np.asarray(weight, np.float64) for weight in weights)
    return x @ kernel + bias


CASES = [
    (MinGRU(5), min_gru),
    (MinGRU(5, activation="linear"), lambda weights, x: min_gru(weights, x, lambda n: n)),
    (MinLSTM(5), min_lstm),
    (MinLSTM(5, activation="linear"), lambda weights, x: min_lstm(weights, x, lambda n: n)),
    (SLSTM(6), lambda weights, x: slstm(weights, x, 1)),
    (SLSTM(6, heads=3), lambda weights, x: slstm(weights, x, 3)),
    (MLSTM(6), lambda weights, x: mlstm(weights, x, 6, 1, 6, True)),
    (MLSTM(6, heads=2, key_dim=5), lambda weights, x: mlstm(weights, x, 6, 2, 5, True)),
    (MLSTM(6, heads=3, output_gate=False), lambda weights, x: mlstm(weights, x, 6, 3, 2, False)),
]


@pytest.mark.parametrize("layer, expected", CASES, ids=[repr(layer) for layer, _ in CASES])
@pytest.mark.parametrize("sequences", [True, False])
def test_cells_compute_what_they_say(layer, expected, sequences, rng):
    x = rng.normal(size=(3, 7, 4)).astype(np.float32)
    layer = type(layer).restore({**layer.describe(), "return_sequences": sequences})
    model = lstm.Sequential([Input((None, 4)), layer])
    model.set_weights([rng.uniform(-0.9, 0.9, weight.shape) for weight in model.get_weights()])
    outputs = np.stack(expected(model.get_weights(), x.astype(np.float64)), axis=1)
    assert np.allclose(model.predict(x, verbose=0), outputs if sequences else outputs[:, -1], atol=2e-6)
    # As a stream, to the last bit, and from a file.
    stream, copy = model.stream(), lstm.from_bytes(model.to_bytes())
    streamed = np.stack([stream.step(step) for step in x[0]])
    predicted = copy.predict(x[:1], verbose=0)[0]
    assert np.array_equal(streamed if sequences else streamed[-1], predicted)


def test_initial_biases_of_forget_gates_are_the_papers():
    def bias(layer):
        return lstm.Sequential([Input((None, 3)), layer]).get_weights()[1]

    powerlaw = 5 - 12 * (np.arange(4) / 3) ** 0.3
    assert np.allclose(bias(SLSTM(8, heads=2))[8:16], np.tile(powerlaw, 2))
    assert np.allclose(bias(SLSTM(4, forget_bias="linspace"))[4:8], [3, 4, 5, 6])
    assert not bias(SLSTM(4, forget_bias="zeros")).any()
    assert np.allclose(bias(MLSTM(8, heads=4))[-4:], [3, 4, 5, 6])
    assert bias(SLSTM(1))[1] == 5
    assert np.array_equal(bias(MinLSTM(3)), [0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert not bias(MinLSTM(3, unit_forget_bias=False)).any()


def test_gates_of_a_fresh_mlstm_see_no_input():
    kernel, bias = lstm.Sequential([Input((None, 3)), MLSTM(8, heads=4)]).get_weights()
    assert kernel[:, :-8].all() and not kernel[:, -8:].any()
    assert bias[-8:-4].all() and abs(bias[-8:-4]).max() < 1 and not bias[:-8].any()


def test_they_learn(rng):
    x = rng.normal(size=(64, 12, 2)).astype(np.float32)
    y = x[:, :, :1].mean(axis=1)
    for layer in (MinGRU(8, activation="linear"), MinLSTM(8), SLSTM(8, heads=2), MLSTM(8, heads=2)):
        model = lstm.Sequential([Input((None, 2)), layer, Dense(1)], seed=1)
        model.compile(loss="mse", optimizer=lstm.optimizers.Adam(0.02))
        losses = model.fit(x, y, epochs=60, batch_size=16, verbose=0).history["loss"]
        assert losses[-1] < losses[0] / 4, layer


def test_what_they_cannot_be_is_refused():
    for layer in (SLSTM(6, heads=4), MLSTM(6, heads=4)):
        with pytest.raises(ValueError, match=r"layers\[0\]\.heads: expected a divisor of units, 6, got 4"):
            lstm.Sequential([Input((None, 3)), layer]).build()
    with pytest.raises(ValueError, match=r"layers\[0\]\.activation: .*, got \"tanh\""):
        lstm.Sequential([Input((None, 3)), MinGRU(3, activation="tanh")]).build()
    with pytest.raises(ValueError, match=r"expected an input of shape \[timesteps, features\]"):
        lstm.Sequential([Input((None, 2, 3)), MinGRU(3)]).build()
    with pytest.raises(TypeError, match="layer must be an LSTM, GRU or SimpleRNN, got SLSTM"):
        Bidirectional(SLSTM(3))
    with pytest.raises(TypeError, match="unexpected keyword argument 'heads'"):
        LSTM(3, heads=2)
