"""What fit, train_on_batch, set_weights and Trainer refuse, and that nothing changes then."""

import re

import numpy as np
import pytest
from conftest import linear

import lstm
from lstm import UnsupportedError
from lstm.callbacks import EarlyStopping
from lstm.layers import Dense


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": None}, TypeError, "x: expected an array"),
        ({"y": None}, TypeError, "y: expected an array"),
        ({"y": np.zeros(11)}, ValueError, r"\by\b.*11"),
        ({"y": np.zeros((12, 3))}, ValueError, r"\by\b.*3"),
        ({"x": np.full((12, 2), np.nan)}, ValueError, r"\bx\b.*(?i:nan)"),
        ({"y": np.full(12, np.inf)}, ValueError, r"\by\b.*inf"),
        ({"batch_size": 0}, ValueError, "batch_size: .*got 0"),
        ({"batch_size": "big"}, TypeError, "batch_size: .*'big'"),
        ({"epochs": -1}, ValueError, "epochs: .*-1"),
        ({"epochs": 2, "initial_epoch": 3}, ValueError, "epochs: expected an integer from 3"),
        ({"verbose": "loud"}, ValueError, "verbose: .*'loud'"),
        ({"validation_split": 1.0}, ValueError, "validation_split.*1"),
        ({"validation_split": -0.1}, ValueError, "validation_split.*-0.1"),
        ({"validation_split": "half"}, TypeError, "validation_split: .*'half'"),
        ({"validation_data": 5}, ValueError, "validation_data"),
        ({"validation_data": (np.zeros((1, 2)), [0], [-1])}, ValueError, r"validation_weights\[0\].*-1"),
        ({"validation_data": (np.zeros((1, 2)), [0]), "validation_split": 0.5}, ValueError, "validation"),
        ({"validation_data": (np.zeros((1, 3)), [0])}, ValueError, "validation_x.*3"),
        ({"validation_mask": [[1]]}, ValueError, "validation_mask"),
        ({"shuffle": "batch"}, TypeError, "shuffle: .*'batch'"),
        ({"class_weight": [1, 2]}, TypeError, "class_weight: expected a dict.*list"),
        ({"class_weight": {0: "a"}}, TypeError, r"class_weight\[0\]: .*'a'"),
        ({"class_weight": {-1: 1.0}}, ValueError, "class_weight: .*-1"),
        ({"class_weight": {"a": 1.0}}, TypeError, "class_weight: .*'a'"),
        ({"sample_weight": np.ones(5)}, ValueError, "sample_weight.*5"),
        ({"sample_weight": -np.ones(12)}, ValueError, "sample_weight.*-1"),
        ({"callbacks": [print]}, TypeError, "callbacks: expected lstm.callbacks.Callback"),
        ({"callbacks": [EarlyStopping(), EarlyStopping()]}, UnsupportedError, "callbacks: expected one EarlyStopping"),
        ({"callbacks": [EarlyStopping("val_los")], "validation_split": 0.5}, ValueError, "monitor.*val_los"),
        ({"callbacks": EarlyStopping()}, ValueError, "monitor.*val_loss"),
        ({"steps_per_epoch": 3}, UnsupportedError, "fit: steps_per_epoch goes with batches"),
        ({"validation_freq": 2}, UnsupportedError, "fit: validation_freq must be 1.*got 2"),
        ({"validation_steps": 2}, UnsupportedError, "fit: validation_steps"),
        ({"epoch": 2}, TypeError, "'epoch'"),
    ],
)
def test_fit_refuses(points, arguments, error, message):
    x, y = points
    model = linear()
    before = model.get_weights()
    with pytest.raises(error) as caught:
        model.fit(**{"x": x, "y": y, "verbose": 0, **arguments})
    assert re.search(message, str(caught.value)), str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_labels_out_of_range(classifier):
    with pytest.raises(ValueError, match=r"\by\b.*3"):
        classifier.fit([[1, 2], [3, 4]], [0, 3], verbose=0)
    with pytest.raises(ValueError, match=r"\by\b.*-1"):
        classifier.evaluate([[1, 2], [3, 4]], [0, -1], verbose=0)


def test_without_compile():
    model = lstm.Sequential([Dense(1, input_shape=(2,))])
    for call in (
        lambda: model.fit(np.zeros((2, 2)), np.zeros(2), verbose=0),
        lambda: model.evaluate(np.zeros((2, 2)), np.zeros(2), verbose=0),
        lambda: model.train_on_batch(np.zeros((2, 2)), np.zeros(2)),
        model.trainer,
        lambda: model.learning_rate,
    ):
        with pytest.raises(ValueError, match="compile"):
            call()


def test_set_weights_is_all_or_nothing(regressor):
    weights = regressor.get_weights()
    for index, wrong, message in (
        (4, np.zeros(2), r"weights\[4\]: expected shape \(1,\) for dense.bias, got \(2,\)"),
        (4, [np.nan], r"weights\[4\]: expected finite"),
    ):
        changed = [weight + 1 for weight in weights]
        changed[index] = wrong
        with pytest.raises(ValueError, match=message):
            regressor.set_weights(changed)
        assert all(np.array_equal(a, b) for a, b in zip(weights, regressor.get_weights()))
    with pytest.raises(ValueError, match="weights: expected 5 arrays, got 4"):
        regressor.set_weights(weights[:4])
    with pytest.raises(ValueError, match=r"lstm\.weights"):
        regressor.get_weight("lstm.weights")
    regressor.set_weights([np.asfortranarray(weight, np.float64) * 2 for weight in weights])
    assert all(np.array_equal(2 * a, b) for a, b in zip(weights, regressor.get_weights()))


def test_trainer_refuses(regressor, regression):
    x, y = regression
    with regressor.trainer() as trainer:
        with pytest.raises(ValueError, match="step"):
            trainer.gradient("dense.bias")
        trainer.step(x, y)
        with pytest.raises(ValueError, match=r"dense\.biass"):
            trainer.gradient("dense.biass")
        for rate, error in ((-1.0, ValueError), (float("nan"), ValueError), ("fast", TypeError)):
            with pytest.raises(error, match="rate"):
                trainer.learning_rate = rate
        with pytest.raises(ValueError, match="weights"):
            trainer.step(x, y, sample_weight=[1])
        assert repr(trainer).startswith("<Trainer of lstm.input_weights, lstm.rec")
    for targets, message in (
        (np.zeros((40, 5, 1)), r"y\.shape: expected \(40, 1\)"),
        (-np.ones(40), "class_weights: .*labels from 0"),
        (np.full(40, 0.5), "class_weights: .*labels from 0"),
    ):
        with pytest.raises(ValueError, match=message):
            regressor.train_on_batch(x, targets, class_weight={0: 1})
    with pytest.raises(TypeError, match=r"y.*numbers"):
        regressor.train_on_batch(x, ["a"] * 40, class_weight={0: 1})
    with pytest.raises(ValueError, match=r"weights\[0\]: .*-1"):
        regressor.train_on_batch(x, y, class_weight={0: -1})
