"""Models in Keras's functional style."""

import copy
import pickle

import numpy as np
import pytest

import lstm
from lstm.layers import GRU, LSTM, Add, Concatenate, Dense, Embedding, Input, Subtract

X = np.random.default_rng(1).normal(size=(6, 5, 3)).astype(np.float32)


def residual(seed=3):
    x = Input((None, 3))
    a = LSTM(4, return_sequences=True, name="a")(x)
    b = Dense(4, "tanh", name="b")(x)
    joined = Concatenate(name="c")([Add(name="sum")([a, b]), b])
    return lstm.Model(x, Dense(1, name="out")(GRU(3, name="g")(joined)), seed=seed)


def part(model, layers, x):
    """What layers with the weights of those of the same names in `model` make of x."""
    row = lstm.Sequential([Input((None, x.shape[-1])), *layers])
    for layer in row.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return row.predict(x)


def test_a_graph_computes_what_its_layers_do():
    model = residual()
    a = part(model, [LSTM(4, return_sequences=True, name="a")], X)
    b = part(model, [Dense(4, "tanh", name="b")], X)
    joined = np.concatenate([a + b, b], -1)
    expected = part(model, [GRU(3, name="g"), Dense(1, name="out")], joined)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert [layer.name for layer in model.layers] == ["a", "b", "sum", "c", "g", "out"]


def test_a_graph_trains_saves_streams_and_copies(tmp_path):
    model = residual()
    model.compile(lstm.optimizers.Adam(0.02), "mse")
    y = X.sum((1, 2))[:, None] / 5
    before = model.evaluate(X, y, verbose=0)
    model.fit(X, y, epochs=60, verbose=0)
    assert model.evaluate(X, y, verbose=0) < before / 3
    answers = model.predict(X)
    model.save(tmp_path / "graph.safetensors")
    loaded = lstm.load_model(tmp_path / "graph.safetensors")
    assert type(loaded) is lstm.Model
    assert loaded.to_json() == model.to_json()
    for twin in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), lstm.from_bytes(model.to_bytes())):
        np.testing.assert_array_equal(twin.predict(X), answers)
    stream = model.stream()
    np.testing.assert_array_equal(stream.process(X[0])[-1], answers[0])


def test_a_model_in_a_row_is_the_same_in_either_style():
    x = Input((None,))
    layers = Embedding(9, 4), LSTM(5), Dense(2, "softmax")
    y = x
    for layer in layers:
        y = layer(y)
    graph = lstm.Model([x], [y], seed=4)
    row = lstm.Sequential([Embedding(9, 4), LSTM(5), Dense(2, "softmax")], seed=4)
    tokens = np.arange(12).reshape(3, 4) % 9
    np.testing.assert_array_equal(graph.predict(tokens), row.predict(tokens))


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda x: lstm.Model(x, x), TypeError, "outputs: expected an Output, got Input"),
        (lambda x: lstm.Model(Dense(1), Dense(1)(x)), TypeError, "inputs: expected an Input, got Dense"),
        (lambda x: lstm.Model([x, x], Dense(1)(x)), ValueError, "inputs: expected each Input once"),
        (lambda x: lstm.Model(Input((7,)), Dense(1)(x)), ValueError, "inputs: expected .*which Dense.* reads"),
        (lambda x: Dense(1)(X), TypeError, "Dense: expected to be called on an Input.*got ndarray"),
        (lambda x: Add()([]), ValueError, "Add: expected at least one input"),
        (lambda x: lstm.Model(x, Add()(Dense(1)(x))).build(), ValueError, r"layers\[1\].inputs: expected a list of 2"),
        (
            lambda x: lstm.Model(x, Subtract()([Dense(1)(x), Dense(2)(x)])).build(),
            ValueError,
            r"layers\[2\].inputs\[1\]: expected the shape of the first input, \(None, 1\), got \(None, 2\)",
        ),
        (lambda x: Concatenate(axis=1), lstm.UnsupportedError, "Concatenate: axis must be -1.*got 1"),
    ],
)
def test_what_is_no_graph_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(Input((None, 3)))


def test_a_layer_is_called_once():
    x, layer = Input((3,)), Dense(3)
    with pytest.raises(ValueError, match=r"called once, got Dense.*twice"):
        lstm.Model(x, layer(layer(x)))
