"""Learner, publish and Stream.keep: training beside predictions, and what is refused."""

import threading

import numpy as np
import pytest

import lstm
from lstm.layers import LSTM, Dense, Embedding, Text


@pytest.fixture
def forecaster():
    model = lstm.Sequential([lstm.Input((None, 1)), LSTM(4, return_sequences=True), Dense(1)], seed=3)
    model.compile(loss="mse", optimizer="adam")
    return model


SERIES = np.sin(np.arange(40, dtype=np.float32))[:, np.newaxis]


def windows(start: int) -> tuple[np.ndarray, np.ndarray]:
    return SERIES[np.newaxis, start : start + 8], SERIES[np.newaxis, start + 1 : start + 9]


def test_the_model_changes_when_it_is_published_to(forecaster):
    twin, x = lstm.from_bytes(forecaster.to_bytes()), SERIES[np.newaxis]
    before = forecaster.predict(x, verbose=0)
    with forecaster.learner() as learner, twin.trainer() as trainer:
        for start in range(5):
            assert learner.step(*windows(start)) == trainer.step(*windows(start))
        np.testing.assert_array_equal(forecaster.predict(x, verbose=0), before)
        learner.publish()
        np.testing.assert_array_equal(forecaster.predict(x, verbose=0), twin.predict(x, verbose=0))
        assert learner.model.to_bytes() == twin.to_bytes()
    np.testing.assert_array_equal(forecaster.predict(x, verbose=0), twin.predict(x, verbose=0))


def test_every_prediction_is_that_of_one_version(forecaster):
    x, versions, odd, is_over = SERIES[np.newaxis], set(), [], threading.Event()
    versions.add(forecaster.predict(x, verbose=0).tobytes())
    with forecaster.learner() as learner:
        answers: set[bytes] = set()

        def read() -> None:
            while not is_over.is_set():
                answers.add(forecaster.predict(x, verbose=0).tobytes())
                odd.extend(() if forecaster.stream().process(SERIES).tobytes() in versions else [1])

        reader = threading.Thread(target=read)
        reader.start()
        for start in range(20):
            learner.step(*windows(start))
            versions.add(learner.model.predict(x, verbose=0).tobytes())
            learner.publish()
        is_over.set()
        reader.join()
    assert answers <= versions and not odd


def test_learns_from_a_stream_what_it_would_from_arrays(forecaster):
    with forecaster.stream() as stream, forecaster.learner() as learner, forecaster.learner() as other:
        stream.keep(9)
        stream.process(SERIES[:30])
        stream.step(SERIES[30])
        assert learner.learn(stream) == other.step(SERIES[np.newaxis, 22:30], SERIES[np.newaxis, 23:31])
        y = SERIES[np.newaxis, :9]
        assert learner.learn(stream, y) == other.step(SERIES[np.newaxis, 22:31], y)
        stream.reset()
        with pytest.raises(ValueError, match="stream: expected at least 2 kept samples, got 0"):
            learner.learn(stream)


def test_another_model_of_the_same_layers_is_published(forecaster):
    other = lstm.Sequential([lstm.Input((None, 1)), LSTM(4, return_sequences=True), Dense(1)], seed=8)
    other.predict(SERIES[np.newaxis], verbose=0)
    forecaster.set_publishing()
    served = {weights: forecaster.compress(weights) for weights in ("bfloat16", "int8")}
    for weights, compressed in served.items():
        compressed.set_publishing()
        compressed.publish(other)
        expected = other.compress(weights).predict(SERIES[np.newaxis], verbose=0)
        np.testing.assert_array_equal(compressed.predict(SERIES[np.newaxis], verbose=0), expected)
    forecaster.publish(served["bfloat16"])
    expected = served["bfloat16"].get_weights()
    for own, given in zip(forecaster.get_weights(), expected):
        np.testing.assert_array_equal(own, given)


def text_model(words: list[str]) -> lstm.Model:
    model = lstm.Sequential([Text(), Embedding(20, 3, mask_zero=True), LSTM(3), Dense(1)])
    model.adapt(words)
    return model


def test_what_is_refused(forecaster):
    larger = lstm.Sequential([lstm.Input((None, 1)), LSTM(5, return_sequences=True), Dense(1)])
    larger.compile(loss="mse")
    stream = forecaster.stream()
    with pytest.raises(ValueError, match="lstm_set_publishing"):
        forecaster.publish(forecaster)
    with forecaster.learner() as learner:
        with pytest.raises(ValueError, match=r'from: expected parameter "lstm.input_weights" of shape \(1, 16\)'):
            forecaster.publish(larger)
        with pytest.raises(ValueError, match="stream: expected one that keeps samples"):
            learner.learn(stream)
        with pytest.raises(ValueError, match=r"y.shape: expected \(1, 3, 1\)"):
            stream.keep(3)
            stream.process(SERIES[:3])
            learner.learn(stream, SERIES)
        with larger.trainer() as trainer, pytest.raises(ValueError, match="stream: expected parameter"):
            trainer.learn(stream)
    with forecaster.trainer(), pytest.raises(ValueError, match="model: expected one that is not being trained"):
        forecaster.publish(larger)
    served = text_model(["a warm film"])
    served.set_publishing()
    served.publish(served)
    with pytest.raises(ValueError, match="from: expected a model of the same vocabulary"):
        served.publish(text_model(["a dull film"]))


def test_weights_that_are_not_finite_are_not_published(forecaster):
    forecaster.compile(loss="mse", optimizer=lstm.optimizers.SGD(1e38))
    before = forecaster.predict(SERIES[np.newaxis], verbose=0)
    with forecaster.learner() as learner:
        learner.step(SERIES[np.newaxis], np.full_like(SERIES[np.newaxis], 1e5))
        with pytest.raises(lstm.DivergedError, match="from: expected finite weights"):
            learner.publish()
    np.testing.assert_array_equal(forecaster.predict(SERIES[np.newaxis], verbose=0), before)
