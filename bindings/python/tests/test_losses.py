"""Losses, metrics and weights: that each reaches C with its options, and what weights for each timestep do."""

import inspect
import json

import numpy as np
import pytest
from conftest import same_weights

import lstm
from lstm import UnsupportedError, losses, metrics
from lstm.layers import CRF, LSTM, Dense

LOSSES = [getattr(losses, name) for name in losses.__all__ if name != "Loss"]
METRICS = [getattr(metrics, name) for name in metrics.__all__ if name != "Metric"]
GIVEN = {
    "blank": 2,
    "from_logits": True,
    "quantiles": [0.1, 0.9],
    "degrees_of_freedom": 3.0,
    "threshold": 0.25,
    "thresholds": 0.25,
    "end_token": 1,
}


def options(spec):
    """A value for each argument of a class that is not its default."""
    values = {}
    for name, parameter in inspect.signature(spec).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD or name == "average":
            continue
        default = parameter.default
        values[name] = not default if isinstance(default, bool) else GIVEN.get(name) or (default or 0.5) / 2
    if spec is metrics.TopKCategoricalAccuracy or spec is metrics.SparseTopKCategoricalAccuracy:
        values["k"] = 2
    return values


def compiled(loss, metric=None, units=6):
    """The 'training' of a model of sequences, as C gives it back."""
    chain = [CRF(units)] if isinstance(loss, losses.CRF) else []
    model = lstm.Sequential([LSTM(units, return_sequences=True, input_shape=(None, 2)), *chain])
    model.compile("sgd", loss, [] if metric is None else [metric])
    return json.loads(model.to_json())["training"]


@pytest.mark.parametrize("spec", LOSSES, ids=lambda spec: spec.__name__)
def test_every_loss_reaches_c_with_its_options(spec):
    given = options(spec)
    assert compiled(spec(**given))["loss"] == {"type": spec.type, **given}
    needed = {} if spec is not losses.Quantile else {"quantiles": 0.5}
    described = compiled(spec(**needed))["loss"]
    assert described["type"] == spec.type
    for name, parameter in inspect.signature(spec).parameters.items():
        if name not in ("keras", *needed):
            assert described[name] == parameter.default  # Keras's default is C's
    with pytest.raises(UnsupportedError, match="reduction"):
        spec(**needed, reduction="sum")


def loss_for(spec):
    ofNumbers = (
        "binary_",
        "mse",
        "mae",
        "ma",
        "ms",
        "r2",
        "rmse",
        "auc",
        "cos",
        "log",
        "poi",
        "kl",
        "hin",
        "squ",
        "cat",
    )
    return "categorical_crossentropy" if spec.type.startswith(ofNumbers) else "sparse_categorical_crossentropy"


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.__name__)
def test_every_metric_reaches_c_with_its_options(spec):
    given, loss = options(spec), loss_for(spec)
    if issubclass(spec, (metrics.Precision, metrics.Recall, metrics.F1Score)):
        loss = "binary_crossentropy"
    described = compiled(loss, spec(**given))["metrics"][0]
    expected = {"threshold" if name == "thresholds" else name: value for name, value in given.items()}
    assert described == {"type": spec.type, **expected}
    if loss != "binary_crossentropy":
        assert compiled(loss, spec())["metrics"][0]["type"] == spec.type


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_averages_are_part_of_the_name(average):
    for spec in (metrics.Precision, metrics.Recall, metrics.F1Score):
        assert compiled("sparse_categorical_crossentropy", spec(average=average))["metrics"] == [
            {"type": f"{spec.type}_{average}"}
        ]
    assert repr(metrics.F1Score("macro")) == "F1Score(average='macro')"


@pytest.mark.parametrize("table", [losses, metrics], ids=["losses", "metrics"])
def test_aliases_lead_to_what_there_is(table):
    for alias, name in table.ALIASES.items():
        if table is losses:
            assert compiled(alias)["loss"]["type"] == name
        elif name != "precision":
            loss = "sparse_categorical_crossentropy" if name.startswith(("sparse", "top")) else "binary_crossentropy"
            assert compiled(loss, alias)["metrics"][0]["type"] == name


# Weights


@pytest.fixture
def tagged(rng):
    """Sequences [30, 5, 2], a class for each step [30, 5], weights for each step, and lengths."""
    x = rng.normal(size=(30, 5, 2)).astype(np.float32)
    return x, (x[:, :, 0] > 0).astype(int) + (x[:, :, 1] > 0), rng.random((30, 5)), rng.integers(1, 6, 30)


def tagger(loss="sparse_categorical_crossentropy"):
    model = lstm.Sequential([LSTM(4, return_sequences=True, input_shape=(None, 2)), Dense(3, "softmax")], seed=6)
    model.compile("sgd", loss)
    return model


def test_weights_for_each_timestep(tagged):
    x, y, weights, lengths = tagged
    valid = np.arange(5) < lengths[:, np.newaxis]
    probabilities = tagger().predict(x, lengths=lengths)
    each = -np.log(np.take_along_axis(probabilities, y[:, :, np.newaxis], 2))[:, :, 0]
    expected = (each * weights)[valid].sum() / valid.sum()
    for given in (weights, weights[:, :, np.newaxis], np.where(valid, weights, np.nan)):
        loss = tagger().evaluate(x, y, sample_weight=given, lengths=lengths, verbose=0)
        assert loss == pytest.approx(expected, rel=1e-5)
    ragged = [row[:length] for row, length in zip(weights, lengths)]
    rows = [row[:length] for row, length in zip(x, lengths)]
    assert tagger().test_on_batch(rows, y, sample_weight=ragged) == pytest.approx(expected, rel=1e-5)
    assert tagger().train_on_batch(x, y, sample_weight=weights, lengths=lengths) == pytest.approx(expected, rel=1e-5)
    assert tagger().test_on_batch(x, y, sample_weight=weights, lengths=lengths) == pytest.approx(expected, rel=1e-5)
    alike = np.repeat(weights[:, :1], 5, axis=1)
    by_sample, by_step = tagger(), tagger()
    by_sample.fit(x, y, sample_weight=weights[:, 0], lengths=lengths, epochs=2, verbose=0)
    by_step.fit(x, y, sample_weight=alike, lengths=lengths, epochs=2, verbose=0)
    assert same_weights(by_sample, by_step)


def test_class_weights_for_each_timestep(tagged):
    """The weight of a class is that of each timestep of it, in whatever way the classes are told."""
    x, y, weights, lengths = tagged
    table = {0: 0.5, 2: 3.0}
    of_steps = np.array([0.5, 1.0, 3.0])[y]
    runs = (
        lambda model, y, **given: model.fit(x, y, lengths=lengths, epochs=2, verbose=0, **given),
        lambda model, y, **given: model.train_on_batch(x, y, lengths=lengths, **given),
        lambda model, y, **given: model.trainer().step(x, y, lengths=lengths, **given),
    )
    for run in runs:
        for loss, targets in (
            ("sparse_categorical_crossentropy", y),
            ("sparse_categorical_crossentropy", y[:, :, np.newaxis]),
            ("categorical_crossentropy", np.eye(3)[y]),
        ):
            by_class, by_step, plain = tagger(loss), tagger(loss), tagger(loss)
            run(by_class, targets, class_weight=table, sample_weight=weights)
            run(by_step, targets, sample_weight=of_steps * weights)
            run(plain, targets, sample_weight=weights)
            assert all(
                np.allclose(a, b, atol=1e-7) for a, b in zip(by_class.get_weights(), by_step.get_weights())
            ) and not same_weights(by_class, plain)


def test_class_weights_hold_for_their_step_alone(tagged):
    x, y, _, _ = tagged
    changing, plain = tagger(), tagger()
    with changing.trainer() as trainer, plain.trainer() as other:
        trainer.step(x, y, class_weight={1: 2.0})
        changing.set_weights(plain.get_weights())
        assert trainer.step(x, y) == other.step(x, y)


def test_validation_weights_for_each_timestep(tagged):
    x, y, weights, _ = tagged
    model = tagger()
    history = model.fit(x, y, validation_data=(x, y, weights), verbose=0).history
    assert history["val_loss"] == [pytest.approx(model.evaluate(x, y, sample_weight=weights, verbose=0), rel=1e-5)]


def test_weights_that_do_not_fit(tagged):
    x, y, weights, _ = tagged
    for given in (weights[:, :4], weights[:20], np.ones((30, 5, 2)), np.ones((5, 30))):
        with pytest.raises(ValueError, match=r"sample_weights?\.shape: expected \(30,\) or \(30, 5\), got"):
            tagger().fit(x, y, sample_weight=given, verbose=0)
    wrong = weights.copy()
    wrong[4, 2] = -1
    with pytest.raises(ValueError, match=r"sample_weights?\[4, 2\]: .*at least 0, got -1"):
        tagger().fit(x, y, sample_weight=wrong, shuffle=False, verbose=0)


# Results


def test_confusion_matrix(tagged):
    x, y, _, lengths = tagged
    model = tagger()
    valid = np.arange(5) < lengths[:, np.newaxis]
    predicted = model.predict(x, lengths=lengths).argmax(axis=2)
    expected = np.zeros((3, 3), np.int64)
    np.add.at(expected, (y[valid], predicted[valid]), 1)
    for batch_size in (7, 32):
        matrix = model.confusion_matrix(x, y, batch_size, lengths=lengths)
        assert matrix.dtype == np.int64 and np.array_equal(matrix, expected)
    assert np.array_equal(model.confusion_matrix(x, y, mask=valid), expected)
    regression = lstm.Sequential([Dense(2, input_shape=(2,))])
    with pytest.raises(ValueError, match="training"):
        regression.confusion_matrix(x[:, 0], x[:, 0])
    regression.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match="loss"):
        regression.confusion_matrix(x[:, 0], x[:, 0])


@pytest.mark.parametrize("loss", ["binary_crossentropy", losses.BinaryCrossentropy(from_logits=True), "hinge"])
def test_confusion_of_yes_and_no(rng, loss):
    x = rng.normal(size=(40, 2))
    model = lstm.Sequential([Dense(1, "sigmoid" if loss == "binary_crossentropy" else None, input_shape=(2,))], seed=1)
    model.compile("sgd", loss)
    y = rng.integers(0, 2, 40)
    yes = model.predict(x)[:, 0] > (0.5 if loss == "binary_crossentropy" else 0)
    expected = [[(~yes & (y == 0)).sum(), (yes & (y == 0)).sum()], [(~yes & (y == 1)).sum(), (yes & (y == 1)).sum()]]
    assert model.confusion_matrix(x, y).tolist() == expected


def test_quantiles_are_learned(rng):
    """Of noise without anything to tell it by, a model of nothing but a bias learns the quantiles."""
    y = rng.exponential(size=(2000, 1))
    model = lstm.Sequential([Dense(3, input_shape=(1,))])
    model.compile(lstm.optimizers.Adam(0.05), losses.Quantile([0.1, 0.5, 0.9]), ["mae"])
    model.fit(np.zeros((2000, 1)), y, batch_size=500, epochs=150, verbose=0)
    learned = model.predict(np.zeros((1, 1)))[0]
    assert learned == pytest.approx(np.quantile(y, [0.1, 0.5, 0.9]), abs=0.1)
    # metrics measure the median
    assert model.evaluate(np.zeros((2000, 1)), y, verbose=0)[1] == pytest.approx(
        np.abs(y - learned[1]).mean(), rel=1e-4
    )


def test_a_distribution_is_learned(rng):
    y = rng.normal(3.0, 0.5, size=(2000, 1))
    model = lstm.Sequential([Dense(2, input_shape=(1,))])
    model.compile(lstm.optimizers.Adam(0.05), losses.GaussianNLL())
    model.fit(np.zeros((2000, 1)), y, batch_size=500, epochs=150, verbose=0)
    mean, logarithm = model.predict(np.zeros((1, 1)))[0]
    assert (mean, np.exp(logarithm / 2)) == (pytest.approx(y.mean(), abs=0.05), pytest.approx(y.std(), abs=0.05))
