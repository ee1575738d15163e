"""Optimizers, schedules, averages, regularizers and constraints: what Keras's arguments become, and that they work."""

import json

import numpy as np
import pytest
from conftest import linear, same_weights

import lstm
from lstm import UnsupportedError, constraints, optimizers, regularizers
from lstm.callbacks import LambdaCallback, LearningRateScheduler, ReduceLROnPlateau
from lstm.layers import GRU, LSTM, Bidirectional, Dense, Embedding
from lstm.optimizers import SGD, Adafactor, Adam, Ftrl, schedules


def described(model):
    return json.loads(model.to_json())


@pytest.mark.parametrize("cls", optimizers._ALL)
def test_defaults_are_those_of_the_library(regressor, regression, cls):
    regressor.compile(cls(), "mse")
    ours = described(regressor)["training"]["optimizer"]
    regressor.compile(cls.type, "mse")
    assert described(regressor)["training"]["optimizer"] == ours
    regressor.compile(cls.__name__, "mse")
    before = regressor.get_weights()
    regressor.fit(*regression, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, regressor.get_weights()))


def test_neutral_arguments():
    Adafactor(relative_step=False)
    Ftrl(learning_rate_power=-0.5)
    with pytest.raises(UnsupportedError, match=r"Ftrl: learning_rate_power must be -0.5.*-0.4"):
        Ftrl(learning_rate_power=-0.4)
    with pytest.raises(UnsupportedError, match="Adam: loss_scale_factor"):
        Adam(loss_scale_factor=2.0)
    with pytest.raises(TypeError, match="relative_step"):
        Adam(relative_step=True)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]),
        schedules.ExponentialDecay(0.1, 3, 0.9, staircase=True),
        schedules.InverseTimeDecay(0.1, 5, 0.9),
        schedules.PolynomialDecay(0.1, 5, power=2.0),
        schedules.CosineDecay(0.1, 5, alpha=0.1),
        schedules.CosineDecay(0.0, 5, warmup_target=0.1, warmup_steps=3),
        schedules.CosineDecayRestarts(0.1, 5),
        schedules.OneCycle(0.1, 20),
        schedules.WarmUp(schedules.WarmUp(0.1, 2), 3, 0.01),
    ],
)
def test_schedules(points, schedule):
    model = linear(SGD(schedule))
    rates = [model.learning_rate]
    for _ in range(8):
        model.train_on_batch(*points)
        rates.append(model.learning_rate)
    assert len(set(rates)) > 2
    copied = lstm.from_bytes(model.to_bytes())
    for one in (model, copied):
        one.train_on_batch(*points)
    assert copied.learning_rate == model.learning_rate
    assert same_weights(copied, model)
    with pytest.raises(ValueError, match=r"rate: .*schedule"):
        model.learning_rate = 0.5
    assert described(model)["training"]["optimizer"]["learning_rate"]["type"] == schedule.describe()["type"]


def test_warm_up_of_a_cosine():
    rates = []
    model = linear(SGD(schedules.CosineDecay(0.1, 4, warmup_target=0.5, warmup_steps=2)))
    for _ in range(8):
        rates.append(model.learning_rate)
        model.train_on_batch(np.zeros((1, 2)), np.zeros(1))
    wave = [0.5 * (1 + np.cos(np.pi * step / 4)) * 0.5 for step in range(5)]
    assert np.allclose(rates, [0.1, 0.3, *wave, 0], rtol=0, atol=1e-12)


def test_learning_rate_from_a_callback(points):
    seen = []
    model = linear(SGD(0.5))
    model.fit(*points, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, rate: rate / (epoch + 1))])
    assert model.learning_rate == 0.5 / 2 / 3
    model.fit(*points, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, rate: seen.append(rate) or 0.25)])
    assert seen == [0.5 / 2 / 3]
    assert model.learning_rate == 0.25


def test_reduce_on_plateau(points, capsys):
    model = linear(SGD(1e-12))
    rates = []
    note = LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(model.learning_rate))
    reduce = ReduceLROnPlateau("loss", 0.5, patience=2, cooldown=1, min_lr=3e-13, verbose=1)
    model.fit(*points, epochs=8, verbose=0, callbacks=[reduce, note])
    assert np.allclose(np.array(rates) * 1e12, [1, 1, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3], rtol=1e-12, atol=0)
    assert capsys.readouterr().out.splitlines()[0] == "Epoch 3: learning rate reduced to 5e-13"
    for arguments, error in (({"factor": "a"}, TypeError), ({"patience": -1}, ValueError), ({"mode": "x"}, ValueError)):
        with pytest.raises(error):
            ReduceLROnPlateau(**arguments)
    with pytest.raises(ValueError, match=r"plateau_factor.*1\.5"):
        model.fit(*points, verbose=0, callbacks=[ReduceLROnPlateau("loss", 1.5)])
    with pytest.raises(UnsupportedError, match="one ReduceLROnPlateau"):
        model.fit(*points, verbose=0, callbacks=[reduce, ReduceLROnPlateau()])


def test_averages(points):
    x, y = points
    plain = linear(SGD(0.1, average_from=2))
    weights = []
    note = LambdaCallback(on_batch_end=lambda batch, logs: weights.append(plain.get_weights()[0]))
    plain.fit(x, y, 4, 2, 0, [note])
    assert np.allclose(plain.get_weights()[0], np.mean(weights[1:], axis=0), rtol=1e-5)
    plain.serve_average(False)
    assert np.array_equal(plain.get_weights()[0], weights[-1])
    plain.serve_average()
    again = lstm.from_bytes(plain.to_bytes())
    again.serve_average(False)
    assert np.array_equal(again.get_weights()[0], weights[-1])
    # Training goes on from the trained weights.
    longer = linear(SGD(0.1, average_from=2))
    longer.fit(x, y, 4, 3, 0)
    plain.fit(x, y, 4, 3, 0, initial_epoch=2)
    assert same_weights(plain, longer)
    with pytest.raises(ValueError, match="use_ema or average_from"):
        linear().serve_average()


def test_accumulation(points):
    x, y = points
    model, whole = linear(SGD(0.1, gradient_accumulation_steps=3)), linear(SGD(0.1))
    model.fit(x, y, 4, 1, 0, shuffle=False)
    whole.fit(x, y, 12, 1, 0, shuffle=False)
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(model.get_weights(), whole.get_weights()))


def test_layers_take_rules():
    l2, unit = regularizers.L2(0.5), constraints.UnitNorm()
    gru = GRU(3, return_sequences=True, kernel_regularizer=l2, bias_constraint="NonNeg")
    model = lstm.Sequential(
        [
            Embedding(9, 4, embeddings_regularizer="l1", embeddings_constraint=constraints.MaxNorm(3, axis=1)),
            Bidirectional(gru),
            LSTM(3, kernel_regularizer=l2, recurrent_regularizer="L1L2", bias_regularizer=regularizers.L1(0.1)),
            Dense(2, kernel_constraint=unit, bias_constraint="unit_norm", kernel_regularizer=None),
        ]
    )
    embedding, both, recurrent, dense = described(model)["layers"]
    assert embedding["regularizers"] == {"weights": {"type": "l1", "l1": 0.01}}
    assert embedding["constraints"] == {"weights": {"type": "max_norm", "max_value": 3, "axis": 1}}
    half = {"type": "l2", "l2": 0.5}
    assert both["regularizers"] == {"forward_input_weights": half, "backward_input_weights": half}
    assert both["constraints"] == {"forward_bias": {"type": "non_neg"}, "backward_bias": {"type": "non_neg"}}
    assert recurrent["regularizers"] == {
        "input_weights": half,
        "recurrent_weights": {"type": "l1_l2", "l1": 0.01, "l2": 0.01},
        "bias": {"type": "l1", "l1": 0.1},
    }
    assert dense["constraints"]["bias"] == {"type": "unit_norm", "axis": 0}
    assert "regularizers" not in dense
    again = lstm.from_bytes(model.to_bytes())
    assert described(again) == described(model)
    rebuilt = lstm.Sequential([lstm.layers.restore(entry) for entry in described(model)["layers"]], seed=1)
    assert described(rebuilt)["layers"] == described(model)["layers"]
    assert repr(l2) == "L2(l2=0.5)"
    with pytest.raises(TypeError, match="embeddings_regularizer"):
        Dense(1, embeddings_regularizer="l2")
    with pytest.raises(ValueError, match=r"layers\[0\].regularizers.weights: .*l3"):
        lstm.Sequential([Dense(1, kernel_regularizer="l3", input_shape=(2,))]).build()


def test_penalties_are_in_the_loss(points):
    plain, model = linear(), lstm.Sequential([Dense(1, input_shape=(2,), kernel_regularizer=regularizers.L2(0.5))])
    model.compile("sgd", "mse")
    model.set_weights(plain.get_weights())
    penalty = 0.5 * (1.0 + 4.0)
    assert np.isclose(model.evaluate(*points, verbose=0), plain.evaluate(*points, verbose=0) + penalty)
    assert np.isclose(model.train_on_batch(*points), plain.train_on_batch(*points) + penalty)
