"""Layers: Keras's arguments, the description they become, weights, names, shapes and errors."""

import copy

import numpy as np
import pytest
from conftest import described

import lstm
from lstm import UnsupportedError
from lstm.layers import GRU, LSTM, SLSTM, Activation, Bidirectional, Dense, Dropout, Embedding, Input, Normalize

ALL_LAYERS = [
    Embedding(12, 5, mask_zero=True, input_length=6),
    LSTM(4, "relu", "hard_sigmoid", False, go_backwards=True, return_sequences=True, dropout=0.25),
    Bidirectional(LSTM(3, return_sequences=True), merge_mode="ave"),
    Bidirectional(GRU(5, use_bias=False, dropout=0.5, return_sequences=True)),
    GRU(6, "relu", "hard_sigmoid", return_sequences=True, reset_after=False),
    LSTM(3, unit_forget_bias=False),
    Dropout(0.5),
    Dense(4, "tanh", use_bias=False, name="middle"),
    Activation("softmax"),
    Dense(2, activation=None),
]


def test_the_description_says_what_the_layers_say():
    model = lstm.Sequential(copy.deepcopy(ALL_LAYERS), "house", seed=9)
    document = described(model)
    assert (document["name"], document["seed"], document["input_shape"]) == ("house", 9, [6])
    embedding, first, pair, other_pair, gru, second, dropout, middle, activation, last = document["layers"]
    assert embedding == {"type": "embedding", "vocabulary": 12, "units": 5, "mask_zero": True, "name": "embedding"}
    assert first == {
        "type": "lstm",
        "name": "lstm",
        "units": 4,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": False,
        "unit_forget_bias": True,
        "return_sequences": True,
        "go_backwards": True,
        "dropout": 0.25,
        "recurrent_dropout": 0,
        "projection": None,
        "peepholes": False,
        "coupled_gates": False,
        "gate_clip": None,
        "cell_clip": None,
        "zoneout_hidden": 0,
        "zoneout_memory": 0,
        "layer_normalization": False,
        "norm_epsilon": None,
        "initial_state": "zeros",
    }
    assert (pair["name"], pair["merge"], pair["layer"]["type"]) == ("bidirectional", "ave", "lstm")
    assert (pair["layer"]["units"], pair["layer"]["return_sequences"]) == (3, True)
    assert (other_pair["name"], other_pair["merge"]) == ("bidirectional_1", "concat")
    expected = {"type": "gru", "units": 5, "use_bias": False, "dropout": 0.5, "reset_after": True}
    assert {name: other_pair["layer"][name] for name in expected} == expected
    assert gru == {
        "type": "gru",
        "name": "gru",
        "units": 6,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": True,
        "reset_after": False,
        "return_sequences": True,
        "go_backwards": False,
        "dropout": 0,
        "recurrent_dropout": 0,
        "gate_clip": None,
        "zoneout_hidden": 0,
        "layer_normalization": False,
        "norm_epsilon": None,
        "initial_state": "zeros",
    }
    assert (second["name"], second["unit_forget_bias"], second["activation"]) == ("lstm_1", False, "tanh")
    assert dropout == {"type": "dropout", "name": "dropout", "rate": 0.5}
    assert middle == {"type": "dense", "name": "middle", "units": 4, "activation": "tanh", "use_bias": False}
    assert activation == {"type": "activation", "name": "activation", "activation": "softmax"}
    assert last["activation"] == "linear"


def test_layers_come_back_from_a_model():
    model = lstm.Sequential(copy.deepcopy(ALL_LAYERS))
    back = lstm.from_bytes(model.to_bytes())
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in ALL_LAYERS]
    assert [layer.describe() for layer in back.layers] == [layer.describe() for layer in model.layers]
    assert described(back) == described(model)


def test_weights_have_kerass_order_and_shapes():
    model = lstm.Sequential([Embedding(12, 5), LSTM(4), Normalize(), Dense(3)])
    shapes = [(12, 5), (5, 16), (4, 16), (16,), (4,), (4,), (4, 3), (3,)]
    model.build()
    assert [weight.shape for weight in model.get_weights()] == shapes
    assert model.count_params() == sum(int(np.prod(shape)) for shape in shapes)
    embedding, recurrent, normalize, dense = model.layers
    assert [weight.shape for weight in recurrent.get_weights()] == shapes[1:4]
    assert recurrent.weight_names == ["lstm.input_weights", "lstm.recurrent_weights", "lstm.bias"]
    assert (embedding.count_params(), recurrent.count_params(), dense.count_params()) == (60, 160, 15)
    bias = recurrent.get_weights()[2]
    assert np.array_equal(bias, np.repeat([0, 1, 0, 0], 4))  # the forget gate's, second of i f c o, begins at 1
    mean, variance = normalize.get_weights()
    assert np.array_equal(mean, np.zeros(4)) and np.array_equal(variance, np.ones(4))


def test_a_layer_sets_its_weights():
    model = lstm.Sequential([LSTM(2, input_shape=(None, 1)), Dense(1)])
    model.build()
    before = model.get_weights()
    model.layers[1].set_weights([[[1.5], [2.5]], [3.5]])
    after = model.get_weights()
    assert np.array_equal(after[3], [[1.5], [2.5]]) and np.array_equal(after[4], [3.5])
    assert all(np.array_equal(a, b) for a, b in zip(before[:3], after[:3]))
    with pytest.raises(ValueError, match=r"weights: expected 2 arrays, got 1"):
        model.layers[1].set_weights([[[1.5], [2.5]]])


def test_names_are_unique_and_found():
    model = lstm.Sequential([Dense(1, input_shape=(2,)), Dense(1, name="dense_2"), Dense(1), Dense(1)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_2", "dense_1", "dense_3"]
    assert model.get_layer("dense_1") is model.layers[2] and model.get_layer(index=3) is model.layers[3]
    for arguments in ({"name": "nothing"}, {"index": 4}):
        with pytest.raises(ValueError, match="get_layer: no layer"):
            model.get_layer(**arguments)
    with pytest.raises(ValueError, match="twice"):
        lstm.Sequential([Dense(1, input_shape=(2,), name="twice"), Dense(1, name="twice")]).build()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: [Input((None, 3)), LSTM(2)], [None, 3]),
        (lambda: [Input(shape=(5, 3)), LSTM(2)], [5, 3]),
        (lambda: [LSTM(2, input_shape=(5, 3))], [5, 3]),
        (lambda: [Dense(2, input_dim=7)], [7]),
        (lambda: [Bidirectional(GRU(2, input_shape=(5, 3)))], [5, 3]),
        (lambda: [Bidirectional(GRU(2), input_shape=(5, 3))], [5, 3]),
        (lambda: [Embedding(5, 2, input_length=9), LSTM(2)], [9]),
        (lambda: [Input((9,), dtype="int32"), Embedding(5, 2), LSTM(2)], [9]),
    ],
)
def test_input_shapes(make, shape):
    assert described(lstm.Sequential(make()))["input_shape"] == shape


@pytest.mark.parametrize(
    "layer",
    [
        lambda: LSTM(3, kernel_initializer="glorot_uniform", recurrent_dropout=0.0, stateful=False, unroll=True),
        lambda: LSTM(3, seed=None, return_state=False, use_cudnn="auto", dtype="float32", trainable=True),
        lambda: GRU(3, recurrent_dropout=0.0, stateful=False, return_state=False, use_cudnn="auto", seed=None),
        lambda: Bidirectional(LSTM(3), weights=None, backward_layer=None, dtype="float32"),
        lambda: Dense(3, kernel_regularizer=None, bias_initializer="zeros"),
        lambda: Embedding(5, 3, embeddings_initializer="uniform"),
        lambda: Normalize(axis=-1),
        lambda: Dropout(0.5, noise_shape=None, seed=None),
    ],
)
def test_kerass_neutral_arguments_are_taken(layer):
    layer()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LSTM(3, stateful=True), UnsupportedError, r"LSTM: stateful must be False, as fit\(bptt_.*True"),
        (lambda: SLSTM(3, return_state=True), UnsupportedError, "SLSTM: return_state"),
        (lambda: LSTM(3, kernel_initializer="he_normal"), UnsupportedError, "kernel_initializer.*'he_normal'"),
        (lambda: LSTM(3, retrun_sequences=True), TypeError, "LSTM.*'retrun_sequences'"),
        (lambda: GRU(3, unroll=3), UnsupportedError, "GRU: unroll must be False.*got 3"),
        (lambda: GRU(3, unit_forget_bias=True), TypeError, "GRU.*'unit_forget_bias'"),
        (
            lambda: Bidirectional(Dense(3)),
            TypeError,
            r"Bidirectional: layer must be an LSTM, GRU or SimpleRNN, got Dense Dense\(3\)",
        ),
        (lambda: Bidirectional(GRU), TypeError, "Bidirectional: layer must be an LSTM, GRU or SimpleRNN, got type"),
        (lambda: Bidirectional(GRU(3, go_backwards=True)), UnsupportedError, "go_backwards=False"),
        (lambda: Bidirectional(GRU(3), backward_layer=GRU(3)), UnsupportedError, "Bidirectional: backward_layer"),
        (
            lambda: lstm.Sequential([Bidirectional(GRU(3, input_shape=(None, 2)), "con")]).build(),
            ValueError,
            r"layers\[0\]\.merge.*con",
        ),
        (
            lambda: lstm.Sequential([Bidirectional(GRU(0), input_shape=(None, 2))]).build(),
            ValueError,
            r"layers\[0\]\.layer\.units.*0",
        ),
        (lambda: Dense(3, trainable=False), UnsupportedError, "Dense: trainable"),
        (lambda: Dense(3, kernel_initializer=object()), UnsupportedError, "Dense: kernel_initializer"),
        (lambda: Embedding(0, 3), ValueError, "Embedding: input_dim: .*got 0"),
        (lambda: Embedding(5, "many"), TypeError, "Embedding: output_dim: .*'many'"),
        (lambda: Embedding(5, 3, weights=[1]), UnsupportedError, "Embedding: weights"),
        (lambda: Input((3,), batch_size=4), UnsupportedError, "Input: batch_size"),
        (lambda: Input((3,), dtype="float8"), ValueError, "Input: dtype.*'float8'"),
        (lambda: Input(5), TypeError, "Input: shape must be a tuple, got 5"),
        (lambda: Dense(1, input_shape=5), TypeError, "Dense: input_shape must be a tuple, got 5"),
        (lambda: lstm.Sequential(Dense(1)), TypeError, "Sequential: expected a list of layers, got Dense"),
        (lambda: lstm.Sequential([5]), TypeError, "add: expected a layer.*int 5"),
        (lambda: lstm.Sequential([Dense(1), Input((3,))]), ValueError, "Input must come first"),
        (lambda: lstm.Sequential([Dense(0, input_shape=(2,))]).build(), ValueError, r"layers\[0\]\.units.*0"),
        (lambda: lstm.Sequential([Dense(1, "tahn", input_shape=(2,))]).build(), ValueError, r"activation.*tahn"),
        (
            lambda: lstm.Sequential([Dense(1, input_shape=(2,)), Dropout(1.5)]).build(),
            ValueError,
            r"layers\[1\]\.rate.*1\.5",
        ),
        (lambda: lstm.Sequential([Dense(object(), input_shape=(2,))]).build(), TypeError, "object"),
        (lambda: lstm.Sequential([Embedding(5, 3)], seed=-1), ValueError, "seed: .*-1"),
        (lambda: lstm.Sequential().build(), ValueError, "not built"),
        (lambda: lstm.Sequential([Dense(3)]).summary(), ValueError, "not built.*input_shape"),
        (lambda: lstm.Sequential([Dense(3)]).get_weights(), ValueError, "not built"),
        (lambda: Dense(3, name="alone").get_weights(), ValueError, "'alone'.*model"),
    ],
)
def test_what_cannot_be_honoured_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_are_not_shared():
    layer = Dense(1, input_shape=(2,))
    model = lstm.Sequential([layer])
    with pytest.raises(ValueError, match="already part of a model"):
        lstm.Sequential([layer])
    assert model.layers == [layer]
    del model
    lstm.Sequential([layer])  # the first model is gone


def test_a_built_model_does_not_change():
    model = lstm.Sequential([Dense(1, input_shape=(2,))])
    model.add(Dense(1))
    model.build()
    model.build((None, 5))  # as in Keras, nothing happens
    assert described(model)["input_shape"] == [2]
    with pytest.raises(ValueError, match="built and cannot change"):
        model.add(Dense(1))


def test_summary(capsys):
    model = lstm.Sequential([Embedding(100, 8), LSTM(4, name="reader"), Dense(1)])
    model.summary()
    printed = capsys.readouterr().out
    for text in ("embedding", "reader", "dense", "(None, None, 8)", "(None, 4)", "800", "208"):
        assert text in printed
    lines = []
    model.summary(print_fn=lines.append)
    assert "".join(lines).strip() == printed.strip()
