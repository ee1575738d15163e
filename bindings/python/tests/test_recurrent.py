"""Recurrent layers and Bidirectional: their weights, and what they compute."""

import copy

import numpy as np
import pytest
from conftest import sigmoid

import lstm
from lstm.layers import GRU, LSTM, Bidirectional, Dense, Input, SimpleRNN


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


def built(layer, features=3):
    """A model of the layer alone, with weights of which all have an effect."""
    model = lstm.Sequential([layer], seed=2)
    model.build((None, None, features))
    generator = np.random.default_rng(5)
    model.set_weights([generator.uniform(-0.7, 0.7, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("start", ["zeros", "learned"])
def test_simple_rnn_computes_what_it_says(start, rng):
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    model = built(SimpleRNN(4, "sigmoid", return_sequences=True, initial_state=start))
    kernel, recurrent, bias, *hidden = (weight.astype(np.float64) for weight in model.get_weights())
    assert (kernel.shape, recurrent.shape, bias.shape) == ((3, 4), (4, 4), (4,))
    h, outputs = hidden[0] if hidden else np.zeros(4), []
    for t in range(6):
        h = sigmoid(x[:, t] @ kernel + h @ recurrent + bias)
        outputs.append(h)
    assert np.allclose(model.predict(x), np.stack(outputs, axis=1), atol=2e-6)


def test_options_of_lstm_compute_what_they_say(rng):
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    options = {"peepholes": True, "coupled_gates": True, "projection": 2, "gate_clip": 0.9, "cell_clip": 0.6}
    model = built(LSTM(4, zoneout_memory=0.25, initial_state="learned", return_sequences=True, **options))
    kernel, recurrent, bias, peepholes, projection, h, c = (w.astype(np.float64) for w in model.get_weights())
    assert (kernel.shape, recurrent.shape, peepholes.shape, projection.shape) == ((3, 12), (2, 12), (2, 4), (4, 2))
    outputs, h = [], np.tile(h, (2, 1))
    for t in range(6):
        i, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 3, axis=-1)
        i = sigmoid(np.clip(i + peepholes[0] * c, -0.9, 0.9))
        memory = np.clip((1 - i) * c + i * np.tanh(np.clip(g, -0.9, 0.9)), -0.6, 0.6)
        h = (sigmoid(np.clip(o + peepholes[1] * memory, -0.9, 0.9)) * np.tanh(memory)) @ projection
        c = 0.25 * c + 0.75 * memory
        outputs.append(h)
    expected = np.stack(outputs, axis=1)
    assert np.allclose(model.predict(x), expected, atol=2e-6)
    stream = model.stream()
    for _ in range(2):
        assert np.allclose(stream.process(x[0]), expected[0], atol=2e-6)
        stream.reset()


def normalized(v, gain, epsilon):
    centered = v - v.mean(axis=-1, keepdims=True)
    return gain * centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + epsilon)


def test_layer_normalization_of_lstm_computes_what_it_says(rng):
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    model = built(LSTM(4, layer_normalization=True, norm_epsilon=0.1, return_sequences=True))
    kernel, recurrent, bias, *gains, gain, shift = (weight.astype(np.float64) for weight in model.get_weights())
    assert [weight.shape for weight in (*gains, gain, shift)] == [(16,), (16,), (4,), (4,)]
    h, c, outputs = np.zeros((2, 4)), np.zeros((2, 4)), []
    for t in range(6):
        z = normalized(x[:, t] @ kernel, gains[0], 0.1) + normalized(h @ recurrent, gains[1], 0.1) + bias
        i, f, g, o = np.split(z, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalized(c, gain, 0.1) + shift)
        outputs.append(h)
    expected = np.stack(outputs, axis=1)
    assert np.allclose(model.predict(x), expected, atol=2e-6)
    assert np.allclose(model.stream().process(x[0]), expected[0], atol=2e-6)


def test_layer_normalization_of_gru_computes_what_it_says(rng):
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    model = built(GRU(4, layer_normalization=True, return_sequences=True))
    kernel, recurrent, bias, *gains = (weight.astype(np.float64) for weight in model.get_weights())
    h, outputs = np.zeros((2, 4)), []
    for t in range(6):
        xz, xr, xn = np.split(normalized(x[:, t] @ kernel, gains[0], 1e-3) + bias[0], 3, axis=-1)
        hz, hr, hn = np.split(normalized(h @ recurrent, gains[1], 1e-3) + bias[1], 3, axis=-1)
        z = sigmoid(xz + hz)
        h = z * h + (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn)
        outputs.append(h)
    assert np.allclose(model.predict(x), np.stack(outputs, axis=1), atol=4e-6)


@pytest.mark.parametrize("layer", [LSTM, GRU, SimpleRNN])
def test_state_dropout_is_at_work_in_training_alone(layer, rng):
    x, y = rng.normal(size=(4, 6, 3)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    losses = []
    for rate in (0, 0.5):
        model = lstm.Sequential([layer(5, recurrent_dropout=rate, input_shape=(None, 3))], seed=2)
        model.compile("sgd", "mse")
        losses.append([model.evaluate(x, y, verbose=0), model.train_on_batch(x, y)])
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] != losses[1][1]


@pytest.mark.parametrize("wrap", [lambda layer: layer, Bidirectional])
@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(200, peepholes=True, projection=70, recurrent_dropout=0.3, initial_state="learned", gate_clip=2.0),
        lambda: LSTM(200, zoneout_hidden=0.2, zoneout_memory=0.2, coupled_gates=True, initial_state="learned"),
        lambda: LSTM(200, layer_normalization=True, peepholes=True, projection=70, recurrent_dropout=0.3),
        lambda: GRU(200, layer_normalization=True, zoneout_hidden=0.2, initial_state="learned"),
        lambda: GRU(200, zoneout_hidden=0.2, recurrent_dropout=0.3, initial_state="learned"),
        lambda: GRU(200, reset_after=False, recurrent_dropout=0.3, initial_state="learned"),
        lambda: SimpleRNN(200, recurrent_dropout=0.3, initial_state="learned"),
    ],
)
def test_rows_that_begin_late_give_the_same_bits_for_any_number_of_threads(make, wrap, rng):
    """Backwards, sequences of a batch begin at different steps, while workers are at different rows."""
    x, y = rng.normal(size=(9, 7, 40)).astype(np.float32), rng.normal(size=(9, 3)).astype(np.float32)
    lengths, bits = np.array([7, 3, 5, 1, 7, 2, 6, 4, 5]), []
    for threads in (1, 2, 3, 8):
        model = lstm.Sequential([Input((None, 40)), wrap(make()), Dense(3)], seed=4)
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=2, verbose=0, threads=threads, lengths=lengths)
        bits.append([model.predict(x, threads=threads, lengths=lengths, verbose=0), *model.get_weights()])
    assert all(np.array_equal(ours, first) for more in bits for ours, first in zip(more, bits[0], strict=True))
