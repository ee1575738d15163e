"""fit, evaluate, train_on_batch and Trainer: what they compute, what they keep, and what they refuse."""

import re

import numpy as np
import pytest
from conftest import described, linear, same_weights
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm
from lstm import DivergedError, optimizers
from lstm.callbacks import EarlyStopping
from lstm.layers import LSTM, Dense


def test_evaluate(points):
    x, y = points
    error = x @ [[1.0], [-2.0]] + 0.5 - y
    model = linear(metrics=["mae"])
    loss, mae = model.evaluate(x, y, verbose=0)
    assert (loss, mae) == (pytest.approx((error**2).mean(), rel=1e-5), pytest.approx(np.abs(error).mean(), rel=1e-5))
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"loss": loss, "mae": mae}
    assert model.test_on_batch(x, y) == [loss, mae]
    assert linear().evaluate(x, y, verbose=0) == pytest.approx(loss)  # alone, a number
    weights = np.arange(12)
    expected = (error[:, 0] ** 2 * weights).sum() / 12  # Keras divides by the number of samples
    assert model.evaluate(x, y, sample_weight=weights, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


def test_evaluate_prints(points, capsys):
    x, y = points
    linear(metrics=["mae"]).evaluate(x, y, verbose=2)
    assert re.fullmatch(r"12 samples  \d+\.\ds  loss \d+\.\d{4} - mae \d+\.\d{4}\n", capsys.readouterr().out)
    linear().evaluate(x, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_step_of_gradient_descent(points):
    """One step against the formula: the loss before it, the gradient, and the weights after."""
    x, y = points
    error = x @ [[1.0], [-2.0]] + 0.5 - y
    gradient = [2 * x.T @ error / 12, 2 * error.mean(axis=0)]
    model = linear()
    with model.trainer() as trainer:
        assert trainer.learning_rate == pytest.approx(0.01)
        trainer.learning_rate = 0.1
        assert trainer.learning_rate == 0.1
        assert trainer.step(x, y) == pytest.approx((error**2).mean(), rel=1e-5)
        for name, expected in zip(model.weight_shapes, gradient):
            assert trainer.gradient(name).shape == expected.shape
            assert np.allclose(trainer.gradient(name), expected, rtol=1e-4)
    kernel, bias = model.get_weights()
    assert np.allclose(kernel, np.array([[1.0], [-2.0]]) - 0.1 * gradient[0], rtol=1e-5)
    assert np.allclose(bias, 0.5 - 0.1 * gradient[1], rtol=1e-5)
    assert model.learning_rate == 0.1


def test_train_on_batch_is_that_step(points):
    x, y = points
    by_batch, by_trainer, by_fit = linear(), linear(), linear()
    with by_trainer.trainer() as trainer:
        losses = [trainer.step(x, y) for _ in range(3)]
    assert [by_batch.train_on_batch(x, y) for _ in range(3)] == losses
    history = by_fit.fit(x, y, epochs=3, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(losses)
    assert same_weights(by_batch, by_trainer) and same_weights(by_fit, by_trainer)


def test_train_on_batch_results(points):
    x, y = points
    before = linear(metrics=["mae"]).evaluate(x, y, verbose=0)
    assert linear(metrics=["mae"]).train_on_batch(x, y) == pytest.approx(before, rel=1e-5)
    assert linear(metrics=["mae"]).train_on_batch(x, y, return_dict=True).keys() == {"loss", "mae"}
    assert linear().train_on_batch(x, y, return_dict=True).keys() == {"loss"}


def test_a_trainer_keeps_the_model_from_other_training(points):
    x, y = points
    model = linear()
    model.train_on_batch(x, y)  # its own trainer gives way
    trainer = model.trainer()
    for call in (model.trainer, lambda: model.fit(x, y, verbose=0), lambda: model.compile("sgd", "mse")):
        with pytest.raises(ValueError, match="being trained"):
            call()
    model.predict(x)
    model.set_weights(model.get_weights())
    trainer.close()
    with pytest.raises(ValueError, match="trainer"):
        trainer.step(x, y)
    model.fit(x, y, verbose=0)
    model.train_on_batch(x, y)
    model.fit(x, y, verbose=0)


def test_weights_of_samples_and_classes(rng):
    """Class weights are sample weights, told another way; in fit, in train_on_batch, and given as Keras's dict."""
    x, labels = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    table = {0: 0.5, 2: 3.0}
    weights = np.array([0.5, 1.0, 3.0])[labels]

    def trained(run, loss="sparse_categorical_crossentropy"):
        model = lstm.Sequential([Dense(3, "softmax", input_shape=(2,))], seed=2)
        model.compile("sgd", loss)
        run(model)
        return model

    by_sample = trained(lambda model: model.fit(x, labels, sample_weight=weights, epochs=2, verbose=0))
    by_class = trained(lambda model: model.fit(x, labels, class_weight=table, epochs=2, verbose=0))
    plain = trained(lambda model: model.fit(x, labels, epochs=2, verbose=0))
    assert same_weights(by_sample, by_class) and not same_weights(by_sample, plain)

    batch = trained(lambda model: model.train_on_batch(x, labels, sample_weight=weights))
    assert same_weights(batch, trained(lambda model: model.train_on_batch(x, labels, class_weight=table)))
    assert same_weights(
        batch, trained(lambda model: model.train_on_batch(x, labels[:, np.newaxis], class_weight=table))
    )
    onehot = np.eye(3)[labels]
    loss = "categorical_crossentropy"
    batch = trained(lambda model: model.train_on_batch(x, onehot, sample_weight=weights), loss)
    assert same_weights(batch, trained(lambda model: model.train_on_batch(x, onehot, class_weight=table), loss))
    fitted = trained(lambda model: model.fit(x, onehot, class_weight=table, verbose=0), loss)
    assert same_weights(fitted, trained(lambda model: model.fit(x, onehot, sample_weight=weights, verbose=0), loss))


def test_the_weight_of_a_sample_is_linear(points):
    """A step with weight w moves the weights by w times the step of weight one."""
    x, y = points
    start = linear().get_weights()
    once, twice = linear(), linear()
    once.train_on_batch(x, y, sample_weight=np.ones(12))
    twice.train_on_batch(x, y, sample_weight=np.full(12, 2.0))
    for before, one, two in zip(start, once.get_weights(), twice.get_weights()):
        assert np.allclose(two - before, 2 * (one - before), rtol=1e-3, atol=1e-6)


def test_history(regressor, regression):
    x, y = regression
    history = regressor.fit(x, y, epochs=4, batch_size=8, validation_split=0.25, verbose=0)
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    assert all(len(column) == 4 for column in history.history.values())
    assert history.epoch == [0, 1, 2, 3]
    assert history.params == {"verbose": 0, "epochs": 4, "steps": 4}
    assert history.model is regressor and regressor.history is history
    assert re.fullmatch(r"<History of 4 epochs: loss .*, val_mae \S+>", repr(history))
    # the last epoch's validation, measured again: the last fraction, split off before shuffling
    expected = regressor.evaluate(x[30:], y[30:], verbose=0)
    assert [history.history["val_loss"][-1], history.history["val_mae"][-1]] == pytest.approx(expected, rel=1e-5)


def test_validation_data(regressor, regression):
    x, y = regression
    history = regressor.fit(x[:30], y[:30], validation_data=(x[30:], y[30:]), verbose=0)
    assert history.history["val_loss"] == [pytest.approx(regressor.evaluate(x[30:], y[30:], verbose=0)[0], rel=1e-5)]
    lengths = np.arange(10) % 6
    options = {"validation_data": (x[30:], y[30:], None), "validation_lengths": lengths}
    history = regressor.fit(x[:30], y[:30], verbose=0, **options)
    expected = regressor.evaluate(x[30:], y[30:], lengths=lengths, verbose=0)[0]
    assert history.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]
    weights = np.arange(10) / 4
    history = regressor.fit(x[:30], y[:30], validation_data=(x[30:], y[30:], weights), verbose=0)
    expected = regressor.evaluate(x[30:], y[30:], sample_weight=weights, verbose=0)[0]
    assert history.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]
    rows = [row[:length] for row, length in zip(x[30:], lengths)]
    history = regressor.fit(x[:30], y[:30], validation_data=(rows, y[30:]), verbose=0)
    assert history.history["val_loss"] == [pytest.approx(regressor.evaluate(rows, y[30:], verbose=0)[0], rel=1e-5)]


def test_training_ignores_padding(rng, regression):
    x, y = regression
    lengths = rng.integers(0, 6, 40)
    valid = np.arange(5) < lengths[:, np.newaxis]
    noisy = np.where(valid[:, :, np.newaxis], x, np.nan)
    models = []
    for data, options in (
        (x, {"lengths": lengths}),
        (noisy, {"lengths": lengths}),
        (noisy, {"mask": valid}),
        ([row[:length] for row, length in zip(x, lengths)], {}),
    ):
        model = lstm.Sequential([LSTM(3), Dense(1)], seed=4)
        model.compile("adam", "mse")
        model.fit(data, y, epochs=2, verbose=0, validation_split=0.2, **options)
        models.append(model)
    assert all(same_weights(model, models[0]) for model in models[1:])


def test_targets_for_every_timestep(rng):
    x = rng.normal(size=(20, 4, 2)).astype(np.float32)
    lengths = rng.integers(1, 5, 20)
    model = lstm.Sequential([LSTM(3, return_sequences=True), Dense(1)], seed=4)
    model.compile("sgd", "mse")
    predicted = model.predict(x, lengths=lengths)
    loss = model.evaluate(x, x.sum(axis=2, keepdims=True), lengths=lengths, verbose=0)
    valid = np.arange(4) < lengths[:, np.newaxis]
    assert loss == pytest.approx(((predicted[:, :, 0] - x.sum(axis=2)) ** 2)[valid].mean(), rel=1e-5)
    rows = [row[:length] for row, length in zip(x, lengths)]
    assert model.evaluate(rows, [row.sum(axis=1) for row in rows], verbose=0) == pytest.approx(loss, rel=1e-6)


def test_models_are_built_by_their_first_data(rng):
    for call in (
        lambda model, x, y: model.fit(x, y, verbose=0),
        lambda model, x, y: model.predict(x),
        lambda model, x, y: model.evaluate(x, y, verbose=0),
        lambda model, x, y: model.train_on_batch(x, y),
        lambda model, x, y: model.adapt(x),
        lambda model, x, y: model.build(x.shape),
    ):
        model = lstm.Sequential([LSTM(2), Dense(1)])
        model.compile("adam", "mse")
        assert not model.built
        call(model, rng.normal(size=(8, 5, 3)), rng.normal(size=8))
        assert model.built and model.get_weights()[0].shape == (3, 8)
        assert described(model)["training"]["loss"] == {"type": "mse"}


def test_data_that_cannot_build_leaves_the_model_as_it_was(rng):
    model = lstm.Sequential([LSTM(2), Dense(1)])
    with pytest.raises(ValueError, match=r"layers\[0\]: .*timesteps, features"):
        model.predict(rng.normal(size=(8, 3)))
    assert not model.built
    assert model.predict(rng.normal(size=(8, 5, 3))).shape == (8, 1)


def test_a_model_built_by_data_takes_any_number_of_steps(rng):
    model = lstm.Sequential([LSTM(2), Dense(1)])
    model.predict(rng.normal(size=(8, 5, 3)))
    assert model.predict(rng.normal(size=(8, 9, 3))).shape == (8, 1)
    fixed = lstm.Sequential([LSTM(2), Dense(1)])
    fixed.build((None, 5, 3))
    with pytest.raises(ValueError, match=r"x\.shape: .*5.*9"):
        fixed.predict(rng.normal(size=(8, 9, 3)))


def test_initial_epoch(regressor, regression):
    x, y = regression
    history = regressor.fit(x, y, initial_epoch=2, epochs=5, verbose=0)
    assert history.epoch == [2, 3, 4]
    assert regressor.fit(x, y, initial_epoch=5, epochs=5, verbose=0).history == {}


def test_training_goes_on_where_it_stopped(regression):
    x, y = regression

    def fresh():
        model = lstm.Sequential([LSTM(4, dropout=0.3), Dense(1)], seed=8)
        model.compile("adam", "mse")
        return model

    straight, twice = fresh(), fresh()
    straight.fit(x, y, epochs=5, batch_size=7, verbose=0)
    twice.fit(x, y, epochs=2, batch_size=7, verbose=0)
    twice.fit(x, y, initial_epoch=2, epochs=5, batch_size=7, verbose=0)
    assert same_weights(straight, twice)


def test_seed_and_shuffling(regression):
    x, y = regression

    def trained(seed, **options):
        model = lstm.Sequential([LSTM(3), Dense(1)], seed=seed)
        model.compile("adam", "mse")
        model.fit(x, y, verbose=0, batch_size=4, **options)
        return model

    assert same_weights(trained(1), trained(1))
    assert not same_weights(trained(1), trained(2))
    assert not same_weights(trained(1), trained(1, shuffle=False))


def stops_after(values, patience, min_delta, start, mode):
    """How many epochs Keras 3 trains when these are the monitored values, and which epoch is the best."""
    best, best_epoch, wait = None, None, 0
    for epoch, value in enumerate(values):
        if epoch < start:
            continue
        wait += 1
        if best is None or (value > best + min_delta if mode == "max" else value < best - min_delta):
            best, best_epoch, wait = value, epoch, 0
        elif wait >= patience and epoch > 0:
            return epoch + 1, best_epoch
    return len(values), best_epoch


@settings(max_examples=25, deadline=None)
@given(
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0, 0.003, 0.05]),
    start=st.integers(0, 5),
    mode=st.sampled_from(["min", "max", "auto"]),
    restore=st.booleans(),
)
def test_early_stopping(patience, min_delta, start, mode, restore):
    """Against Keras's rule, applied to what a training without it reports."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(24, 2)), rng.normal(size=(24, 1))

    def model():
        return linear(optimizers.SGD(0.3, momentum=0.9))

    plain = model().fit(x, y, epochs=14, validation_split=0.5, verbose=0).history["val_loss"]
    epochs, best = stops_after(plain, patience, min_delta, start, mode)
    stop = EarlyStopping("val_loss", min_delta, patience, 0, mode, None, restore, start)
    stopped = model()
    history = stopped.fit(x, y, epochs=14, validation_split=0.5, verbose=0, callbacks=[stop])
    assert history.history["val_loss"] == plain[:epochs]
    assert stop.stopped_epoch == (epochs - 1 if epochs < 14 else 0)
    kept = (best if best is not None else epochs - 1) if restore else epochs - 1
    assert stopped.evaluate(x[12:], y[12:], verbose=0) == pytest.approx(plain[kept], rel=1e-6)


def test_divergence_keeps_the_last_good_weights(points):
    x, y = points
    model = linear(optimizers.SGD(1e30))
    with pytest.raises(DivergedError, match="finite"):
        model.fit(x, y, epochs=20, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert issubclass(DivergedError, ArithmeticError)


def test_learning_rate(regressor, regression):
    x, y = regression
    assert regressor.learning_rate == pytest.approx(0.001)
    regressor.learning_rate = 0.0
    before = regressor.get_weights()
    regressor.fit(x, y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, regressor.get_weights()))
    assert lstm.from_bytes(regressor.to_bytes()).learning_rate == 0.0
