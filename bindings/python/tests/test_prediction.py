"""Predictors: the bits of predict, the model's weights of the moment, and their errors."""

import numpy as np
import pytest

import lstm
from lstm.layers import GRU, LSTM, Dense, Embedding


@pytest.fixture
def model():
    return lstm.Sequential([LSTM(5, return_sequences=True, input_shape=(None, 3)), GRU(4), Dense(2)], seed=3)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_calls_of_any_size_have_the_bits_of_predict(model, threads, rng):
    with model.predictor(threads) as predictor:
        for rows, steps in ((1, 4), (7, 4), (40, 9), (2, 30), (1, 4), (0, 4)):
            x = rng.normal(size=(rows, steps, 3))
            lengths = rng.integers(0, steps + 1, rows)
            assert np.array_equal(predictor(x), model.predict(x))
            assert np.array_equal(predictor.run(x, lengths=lengths), model.predict(x, lengths=lengths))
            mask = rng.integers(0, 2, (rows, steps))
            assert np.array_equal(predictor(x, mask=mask), model.predict(x, mask=mask))
        ragged = [[[1, 2, 3]], [[1, 2, 3], [4, 5, 6]]]
        assert np.array_equal(predictor(ragged), model.predict(ragged))
    assert repr(predictor) == "<Predictor>"


def test_tokens(classifier):
    x = [[1, 2, 0], [9, 3, 4]]
    assert np.array_equal(classifier.predictor()(x), classifier.predict(x))
    with pytest.raises(ValueError, match="10"):
        classifier.predictor()([[10]])


def test_out_is_filled_and_returned(model, rng):
    x, rows = rng.normal(size=(4, 6, 3)), np.full((8, 2), np.nan, np.float32)
    predictor = model.predictor()
    assert predictor.run(x, rows[:4]).base is rows
    assert np.array_equal(rows[:4], model.predict(x)) and np.isnan(rows[4:]).all()
    for out in (np.zeros((4, 2)), np.zeros((5, 2), np.float32), np.zeros((2, 4), np.float32).T):
        with pytest.raises(ValueError, match=r"out: expected a contiguous float32 array of shape \(4, 2\)"):
            predictor.run(x, out)


def test_out_may_be_the_input(rng):
    square = lstm.Sequential([GRU(3, return_sequences=True, input_shape=(None, 3))], seed=5)
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    expected = square.predict(x)
    assert square.predictor().run(x, x) is x
    assert np.array_equal(x, expected)


def test_it_sees_the_weights_of_the_moment(regressor, regression):
    x, y = regression
    with regressor.predictor() as predictor:
        before = predictor(x)
        regressor.fit(x, y, verbose=0)
        assert not np.array_equal(predictor(x), before)
        assert np.array_equal(predictor(x), regressor.predict(x))
        regressor.set_weights([np.zeros_like(weight) for weight in regressor.get_weights()])
        assert not predictor(x).any()


def test_it_outlives_its_model(model, rng):
    x = rng.normal(size=(2, 6, 3))
    expected, predictor = model.predict(x), model.predictor()
    del model
    assert np.array_equal(predictor(x), expected)


def test_refusals(model):
    predictor = model.predictor()
    for wrong in (np.zeros((2, 3)), np.zeros((2, 3, 4)), [[["a"] * 3]]):
        for call in (model.predict, predictor):
            with pytest.raises((ValueError, TypeError), match="x"):
                call(wrong)
    predictor.close()
    predictor.close()
    with pytest.raises(ValueError, match="predictor"):
        predictor(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="not built"):
        lstm.Sequential([Dense(1)]).predictor()
    assert lstm.Sequential([Embedding(5, 2)]).predictor()([[1]]).shape == (1, 1, 2)


def test_fast_activations_are_near_the_exact_ones_and_stay_in_the_file(tmp_path):
    def make(activations):
        layers = [LSTM(20, return_sequences=True, input_shape=(None, 4)), GRU(9), Dense(3, activation="sigmoid")]
        return lstm.Sequential(layers, seed=3, activations=activations)

    x = np.random.default_rng(0).normal(size=(6, 12, 4)).astype(np.float32)
    exact, fast = make("exact").predict(x), make("fast").predict(x)
    assert np.abs(exact - fast).max() < 2e-6
    model = make("fast")
    model.save(tmp_path / "model.safetensors")
    loaded = lstm.load_model(tmp_path / "model.safetensors")
    assert loaded.activations == "fast" and '"activations": "fast"' in loaded.to_json()
    assert np.array_equal(loaded.predict(x), fast)
    with pytest.raises(ValueError, match="activations: expected 'exact' or 'fast', got 'slow'"):
        make("slow")
