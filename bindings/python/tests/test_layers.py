"""Layers, losses, metrics and optimizers: Keras's arguments, the description they become, weights and errors."""

import copy
import json
import pickle

import numpy as np
import pytest
from conftest import sigmoid

import lstm
from lstm import UnsupportedError, losses, metrics, optimizers
from lstm.layers import GRU, LSTM, Activation, Bidirectional, Dense, Dropout, Embedding, Input, Normalize, Text

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


def described(model):
    return json.loads(model.to_json())


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


def test_text_takes_its_input_without_a_shape():
    model = lstm.Sequential([Input((1,), dtype="string"), Text(vocabulary=["a"]), Embedding(3, 2), LSTM(2)])
    assert model.predict(["a", "b a"]).shape == (2, 2)


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
        (lambda: LSTM(3, recurrent_dropout=0.2), UnsupportedError, "LSTM: recurrent_dropout must be 0.*got 0.2"),
        (lambda: LSTM(3, stateful=True), UnsupportedError, "LSTM: stateful must be False.*got True"),
        (lambda: LSTM(3, return_state=True), UnsupportedError, "LSTM: return_state"),
        (lambda: LSTM(3, kernel_initializer="he_normal"), UnsupportedError, "kernel_initializer.*'he_normal'"),
        (lambda: LSTM(3, retrun_sequences=True), TypeError, "LSTM.*'retrun_sequences'"),
        (lambda: GRU(3, recurrent_dropout=0.2), UnsupportedError, "GRU: recurrent_dropout must be 0.*got 0.2"),
        (lambda: GRU(3, unit_forget_bias=True), TypeError, "GRU.*'unit_forget_bias'"),
        (
            lambda: Bidirectional(Dense(3)),
            TypeError,
            r"Bidirectional: layer must be an LSTM or GRU, got Dense Dense\(3\)",
        ),
        (lambda: Bidirectional(GRU), TypeError, "Bidirectional: layer must be an LSTM or GRU, got type"),
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
        (lambda: Dense(3, kernel_regularizer=object()), UnsupportedError, "Dense: kernel_regularizer"),
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
        (lambda: optimizers.Adam(learnin_rate=1), TypeError, "Adam.*'learnin_rate'"),
        (lambda: optimizers.Adam(use_ema=True), UnsupportedError, "Adam: use_ema"),
        (lambda: losses.Huber(reduction="sum"), UnsupportedError, "Huber: reduction.*'sum'"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0), UnsupportedError, "ignore_class"),
        (lambda: losses.Hinge(label_smoothing=0.1), TypeError, "Hinge.*'label_smoothing'"),
        (lambda: metrics.Precision(class_id=1), UnsupportedError, "Precision: class_id"),
        (lambda: metrics.F1Score(average="samples"), ValueError, "average: .*'macro'.*'samples'"),
        (lambda: metrics.AUC(name="area"), UnsupportedError, "AUC: name must be 'auc'.*'area'"),
    ],
)
def test_what_cannot_be_honoured_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_specs_read_but_never_change():
    layer, optimizer = LSTM(3, dropout=0.5, name="x"), optimizers.Adam(0.01, clipnorm=1)
    assert (layer.units, layer.dropout, layer.name, optimizer.learning_rate, optimizer.clipnorm) == (
        3,
        0.5,
        "x",
        0.01,
        1,
    )
    for spec, name in ((layer, "units"), (optimizer, "learning_rate"), (optimizer, "lr")):
        with pytest.raises(AttributeError, match=f"{name} cannot change"):
            setattr(spec, name, 5)
    with pytest.raises(AttributeError, match="Adam has no attribute 'rho'"):
        _ = optimizer.rho
    assert repr(optimizer) == "Adam(learning_rate=0.01, clipnorm=1)"
    assert repr(layer) == "LSTM(3, dropout=0.5)"
    assert repr(GRU(3, reset_after=False)) == "GRU(3, reset_after=False)"
    assert repr(Bidirectional(GRU(3))) == "Bidirectional(GRU(3))"
    assert repr(Bidirectional(LSTM(3), None)) == "Bidirectional(LSTM(3), merge_mode=None)"
    assert repr(Embedding(9, 2, mask_zero=True)) == "Embedding(9, 2, mask_zero=True)"
    assert repr(lstm.Sequential([Dense(1, None), Dropout(0.5)])) == "<Sequential 'sequential': Dense(1), Dropout(0.5)>"
    assert len(repr(Text(vocabulary=map(str, range(1000))))) < 300
    for spec in (layer, Bidirectional(layer, None)):
        for copied in (copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
            assert copied.describe() == spec.describe()


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


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("adam", {"type": "adam", "learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
        ("RMSprop", {"type": "rmsprop", "learning_rate": 0.001, "rho": 0.9}),
        (
            optimizers.SGD(0.1, 0.9, nesterov=True),
            {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        ),
        (optimizers.RMSprop(rho=0.8, centered=True), {"type": "rmsprop", "rho": 0.8, "centered": True}),
        (optimizers.Adam(beta_1=0.8, amsgrad=True, clipnorm=1.5), {"beta_1": 0.8, "amsgrad": True, "clipnorm": 1.5}),
        (optimizers.AdamW(), {"type": "adamw", "weight_decay": 0.004}),
        (optimizers.Adagrad(initial_accumulator_value=0.2), {"type": "adagrad", "initial_accumulator_value": 0.2}),
        (optimizers.SGD(np.float32(0.5), clipvalue=np.int64(2)), {"learning_rate": 0.5, "clipvalue": 2}),
        (optimizers.SGD(global_clipnorm=3.0, name="mine"), {"global_clipnorm": 3.0}),
        ({"type": "sgd", "learning_rate": 0.5}, {"learning_rate": 0.5}),
    ],
)
def test_optimizers(optimizer, expected):
    model = lstm.Sequential([Dense(1, input_shape=(2,))])
    model.compile(optimizer, "mse")
    given = described(model)["training"]["optimizer"]
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mean_squared_error", "mse"),
        ("MSE", "mse"),
        ("MeanAbsoluteError", "mae"),
        ("huber_loss", "huber"),
        (losses.MeanSquaredError(), "mse"),
        (losses.MeanAbsoluteError(), "mae"),
        (losses.Huber(delta=2.0), {"type": "huber", "delta": 2}),
        (losses.Poisson(log_input=True), {"type": "poisson", "log_input": True}),
        (losses.CategoricalCrossentropy(), "categorical_crossentropy"),
        (losses.SparseCategoricalCrossentropy(), "sparse_categorical_crossentropy"),
    ],
)
def test_losses(loss, expected):
    model = lstm.Sequential([Dense(2, input_shape=(2,))])
    model.compile("sgd", loss)
    given = described(model)["training"]["loss"]
    if isinstance(expected, str):
        assert given == expected or given["type"] == expected
    else:
        assert given == expected


def test_metrics(rng):
    model = lstm.Sequential([Dense(1, "sigmoid", input_shape=(2,))])
    named = ["acc", "binary_accuracy", "mean_squared_error", "mae", "Precision", "recall", "AUC"]
    columns = ["loss", "accuracy", "binary_accuracy", "mse", "mae", "precision", "recall", "auc"]
    x, y = rng.normal(size=(30, 2)), rng.integers(0, 2, 30)
    model.compile("sgd", "mse", named)
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == columns
    model.compile("sgd", "mse", [metrics.MeanSquaredError(), metrics.Precision(), metrics.Recall(), metrics.AUC()])
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == ["loss", "mse", "precision", "recall", "auc"]
    model = lstm.Sequential([Dense(3, "softmax", input_shape=(2,))])
    model.compile("sgd", "categorical_crossentropy", [metrics.CategoricalAccuracy(), "accuracy"])
    result = model.evaluate(x, np.eye(3)[rng.integers(0, 3, 30)], verbose=0, return_dict=True)
    assert result["categorical_accuracy"] == result["accuracy"]
    model.compile("sgd", "sparse_categorical_crossentropy", [metrics.SparseCategoricalAccuracy()])
    assert "sparse_categorical_accuracy" in model.evaluate(x, rng.integers(0, 3, 30), verbose=0, return_dict=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"loss": "msee"}, ValueError, "loss.*msee"),
        ({"loss": None}, ValueError, "loss"),
        ({"loss": "mse", "optimizer": "adm"}, ValueError, "optimizer.*adm"),
        ({"loss": "mse", "optimizer": optimizers.Adam(learning_rate=-1)}, ValueError, "learning_rate.*-1"),
        ({"loss": "mse", "optimizer": optimizers.Adam(learning_rate="fast")}, ValueError, "learning_rate.*fast"),
        ({"loss": "mse", "optimizer": optimizers.Adam(learning_rate=object())}, TypeError, "object"),
        ({"loss": "mse", "metrics": ["acuracy"]}, ValueError, "metrics.*acuracy"),
        ({"loss": "mse", "metrics": "accuracy"}, TypeError, "metrics must be a list.*'accuracy'"),
        ({"loss": "mse", "loss_weights": [1]}, UnsupportedError, "compile: loss_weights"),
        ({"loss": "mse", "run_eagerly": True}, UnsupportedError, "compile: run_eagerly"),
        ({"loss": "mse", "los_weights": [1]}, TypeError, "'los_weights'"),
    ],
)
def test_compile_refuses(arguments, error, message):
    model = lstm.Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", "mae")
    with pytest.raises(error, match=message):
        model.compile(**arguments)
    assert described(model)["training"]["optimizer"]["type"] == "sgd"  # as before


def test_summary(capsys):
    model = lstm.Sequential([Embedding(100, 8), LSTM(4, name="reader"), Dense(1)])
    model.summary()
    printed = capsys.readouterr().out
    for text in ("embedding", "reader", "dense", "(None, None, 8)", "(None, 4)", "800", "208"):
        assert text in printed
    lines = []
    model.summary(print_fn=lines.append)
    assert "".join(lines).strip() == printed.strip()


def test_vocabulary_round_trip():
    texts = ["the film is good", "the film is bad", "the end"]
    model = lstm.Sequential([Text(), Embedding(20, 4, mask_zero=True), LSTM(3), Dense(1)])
    assert model.layers[0].get_vocabulary() == ["", "[UNK]"]
    model.adapt(texts)
    vocabulary = model.layers[0].get_vocabulary()
    assert vocabulary[:5] == ["", "[UNK]", "the", "film", "is"]  # the most frequent first
    assert sorted(vocabulary[5:]) == ["bad", "end", "good"]
    back = lstm.from_bytes(model.to_bytes())
    assert back.layers[0].get_vocabulary() == vocabulary
    assert np.array_equal(back.predict(texts), model.predict(texts))
    given = lstm.Sequential([Text(vocabulary=vocabulary[2:]), Embedding(20, 4, mask_zero=True), LSTM(3), Dense(1)])
    assert given.layers[0].get_vocabulary() == vocabulary
    given.set_weights(model.get_weights())
    assert np.array_equal(given.predict(texts), model.predict(texts))
    assert not np.array_equal(model.predict(["good"]), model.predict(["bad"]))
    assert np.array_equal(model.predict(["unheard"]), model.predict(["unseen"]))


def test_text_options():
    def tokens(texts, **options):
        """What the embedding sees: with weights equal to the index, and a dense layer that passes them on."""
        model = lstm.Sequential([Text(**options), Embedding(50, 1), Dense(1)])
        model.build()
        model.set_weights([np.arange(50)[:, np.newaxis], [[1.0]], [0.0]])
        return model.predict(texts)[:, :, 0].tolist()

    words = {"vocabulary": ["a", "b", "c", "A"]}
    assert tokens(["a b c", "b"], **words) == [[2, 3, 4], [3, 0, 0]]
    assert tokens(["a b c", "b"], length=2, **words) == [[2, 3], [3, 0]]
    assert tokens(["a b c", "b"], length=2, truncate="left", pad="left", **words) == [[3, 4], [0, 3]]
    assert tokens(["A x"], **words) == [[2, 1]]
    assert tokens(["A x"], lower=False, **words) == [[5, 1]]
    assert tokens(["ab c"], level="character", **words) == [[2, 3, 1, 4]]


def test_normalize_learns(rng):
    x = rng.normal(3, [1, 5], (200, 2))
    model = lstm.Sequential([Normalize(), Dense(1)])
    model.adapt(x)
    mean, variance = model.layers[0].get_weights()
    assert np.allclose(mean, x.mean(axis=0), rtol=1e-5) and np.allclose(variance, x.var(axis=0), rtol=1e-5)
    kernel, bias = model.layers[1].get_weights()
    expected = (x - x.mean(axis=0)) / x.std(axis=0) @ kernel + bias
    assert np.allclose(model.predict(x), expected, atol=1e-5)


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
