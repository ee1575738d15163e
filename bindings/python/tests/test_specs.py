"""Optimizers, losses and metrics, their description and errors; and what they have in common with layers."""

import copy
import pickle

import numpy as np
import pytest
from conftest import described

import lstm
from lstm import UnsupportedError, losses, metrics, optimizers
from lstm.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding, Text


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
    ("make", "error", "message"),
    [
        (lambda: optimizers.Adam(learnin_rate=1), TypeError, "Adam.*'learnin_rate'"),
        (lambda: optimizers.Adam(loss_scale_factor=2.0), UnsupportedError, "Adam: loss_scale_factor"),
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
        ({"loss": "mse", "loss_weights": [-1]}, ValueError, "training.loss_weights: expected a finite number"),
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
