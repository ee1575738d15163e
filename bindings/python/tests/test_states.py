"""Recurrent layers that give their states to others, and begin with those of others."""

import numpy as np
import pytest

import lstm
from lstm.layers import GRU, LSTM, Bidirectional, Concatenate, Dense, Embedding, Input, SimpleRNN

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(6, 5, 3)).astype(np.float32)
Z = RANDOM.normal(size=(6, 4, 2)).astype(np.float32)
LENGTHS = np.array([5, 1, 3, 2, 4, 5])


LAYERS = [
    (LSTM, {}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
    (GRU, {"zoneout_hidden": 0.2}),
    (SimpleRNN, {}),
    (LSTM, {"peepholes": True, "cell_clip": 0.5}),
    (LSTM, {"projection": 7}),
    (LSTM, {"coupled_gates": True, "zoneout_memory": 0.3}),
]


def state_inputs(layer, fields):
    """Inputs for the states of a layer of 20 units, a projected hidden one and one of all units."""
    widths = [fields.get("projection", 20), 20][: 2 if layer is LSTM else 1]
    return [Input((width,), name=f"s{number}") for number, width in enumerate(widths)]


@pytest.mark.parametrize("layer, fields", LAYERS)
def test_states_cut_a_sequence_in_two(layer, fields):
    x = Input((None, 3), name="x")
    whole = lstm.Model(x, layer(20, return_sequences=True, return_state=True, name="layer", **fields)(x))
    given = state_inputs(layer, fields)
    rest = lstm.Model([x, *given], layer(20, return_sequences=True, name="layer", **fields)(x, initial_state=given))
    rest.set_weights(whole.get_weights())
    outputs, *ends = whole.predict(X)
    np.testing.assert_array_equal(outputs[:, -1], ends[0])
    first, *middle = whole.predict(X[:, :2])
    second = rest.predict([X[:, 2:], *middle])
    np.testing.assert_allclose(np.concatenate([first, second], 1), outputs, atol=1e-6)


@pytest.mark.parametrize("layer, fields", [one for one in LAYERS if not any("zoneout" in name for name in one[1])])
@pytest.mark.parametrize("lengths", [None, [3, 1, 2, 3, 3, 2]])
def test_gradients_go_through_states(layer, fields, lengths):
    """The weights' gradient is the sum of those of two layers of the same weights, one for each part."""
    x, later = Input((None, 3), name="x"), Input((None, 3), name="later")
    whole = lstm.Model(x, layer(20, name="layer", **fields)(x), seed=2)
    _, *states = layer(20, return_state=True, name="first", **fields)(x)
    parts = lstm.Model([x, later], layer(20, name="second", **fields)(later, initial_state=states))
    parts.set_weights(2 * whole.get_weights())
    y = RANDOM.normal(size=whole.predict(X).shape).astype(np.float32)
    ends = None if lengths is None else np.array(lengths)
    for model in (whole, parts):
        model.compile(lstm.optimizers.SGD(0.1), "mse")
    with whole.trainer() as one, parts.trainer() as two:
        one.step(X, y, lengths=None if ends is None else ends + 2)
        two.step([X[:, :2], X[:, 2:]], y, lengths=None if ends is None else [None, ends])
        for name in whole.weight_shapes:
            kind = name.rpartition(".")[2]
            total = two.gradient(f"first.{kind}") + two.gradient(f"second.{kind}")
            np.testing.assert_allclose(total, one.gradient(name), atol=2e-6, err_msg=name)


def test_an_encoder_and_a_decoder_learn_to_reverse():
    digits = RANDOM.integers(2, 7, (400, 4))
    start = np.concatenate([np.ones((400, 1), int), digits[:, :0:-1]], 1)
    source, target = Input((None,), name="source"), Input((None,), name="target")
    _, *states = LSTM(32, return_state=True, name="encoder")(Embedding(7, 8)(source))
    decoded = LSTM(32, return_sequences=True, name="decoder")(Embedding(7, 8)(target), initial_state=states)
    model = lstm.Model([source, target], Dense(7, "softmax")(decoded), seed=3)
    model.compile(lstm.optimizers.Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit([digits, start], digits[:, ::-1], epochs=25, verbose=0).history
    assert history["accuracy"][-1] > 0.9


def test_the_model_of_a_file_has_its_states(tmp_path):
    x = Input((None, 3), name="x")
    _, hidden, memory = LSTM(4, return_state=True, name="a")(x)
    model = lstm.Model(x, [hidden, memory])
    model.save(tmp_path / "states.safetensors")
    loaded = lstm.load_model(tmp_path / "states.safetensors")
    for one, other in zip(loaded.predict(X), model.predict(X)):
        np.testing.assert_array_equal(one, other)


def refused(make, error, message):
    with pytest.raises(error, match=message):
        make().build()


def test_what_is_no_state_is_refused():
    x, h, wide = Input((None, 3), name="x"), Input((4,), name="h"), Input((5,), name="wide")
    refused(lambda: lstm.Model([x, h], LSTM(4)(x, initial_state=h)), ValueError, "inputs: expected one, or 3 to begin")
    refused(lambda: lstm.Model([x, h, wide], GRU(4)(x, initial_state=[h, wide])), ValueError, "inputs: expected")
    learned = GRU(4, initial_state="learned")
    refused(lambda: lstm.Model([x, h], learned(x, initial_state=h)), ValueError, 'expected "zeros" where inputs give')
    refused(lambda: lstm.Model([x, wide], GRU(4)(x, initial_state=wide)), ValueError, r"a state of shape \(4,\)")
    with pytest.raises(TypeError, match="return_state must be True or False"):
        LSTM(4, return_state=1)
    model = lstm.Model(x, GRU(4)(x, initial_state=GRU(4, return_state=True)(x)[1]))
    with pytest.raises(lstm.UnsupportedError, match="no states that go from layer to layer"):
        model.stream()


@pytest.mark.parametrize("layer", [LSTM, GRU, SimpleRNN])
@pytest.mark.parametrize("merge", ["concat", "sum", None])
def test_bidirectional_layers_give_the_states_of_both_directions(layer, merge):
    x = Input((None, 3), name="x")
    both = Bidirectional(layer(6, return_sequences=True, return_state=True), merge, name="both")(x)
    model = lstm.Model(x, both, seed=3)
    _, *states = model.predict(X, lengths=[LENGTHS])
    count, weights = len(states) // 2, model.get_weights()
    for way, own in enumerate((states[:count], states[count:])):
        alone = layer(6, return_state=True, go_backwards=way == 1, name="alone")(x)
        one = lstm.Model(x, alone)
        one.set_weights(weights[way * len(weights) // 2 :][: len(weights) // 2])
        for state, expected in zip(own, one.predict(X, lengths=[LENGTHS])[1:]):
            np.testing.assert_array_equal(state, expected)


def test_a_decoder_begins_with_the_states_of_both_directions():
    source, target = Input((None, 3), name="source"), Input((None, 2), name="target")
    _, *states = Bidirectional(LSTM(4, return_state=True), name="encoder")(source)
    joined = [Concatenate()(states[place::2]) for place in range(2)]
    model = lstm.Model([source, target], Dense(1)(LSTM(8, name="decoder")(target, initial_state=joined)), seed=4)
    y = X.sum((1, 2))[:, None] / 5
    model.compile(lstm.optimizers.Adam(0.05), "mse")
    history = model.fit([X, Z], y, epochs=60, verbose=0).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    with pytest.raises(TypeError, match="initial_state"):
        Bidirectional(LSTM(4))(source, initial_state=states)
