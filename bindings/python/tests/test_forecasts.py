"""Forecasts: a model that reads its own outputs."""

import numpy as np
import pytest

import lstm
from lstm import UnsupportedError
from lstm.layers import LSTM, Dense


@pytest.fixture(scope="module")
def forecaster():
    return lstm.Sequential([LSTM(6, return_sequences=True, input_shape=(None, 2)), Dense(2)], seed=4)


def test_forecast_is_predict_on_its_own_outputs(forecaster, rng):
    x = rng.normal(size=(7, 2)).astype(np.float32)
    series = x
    for _ in range(5):
        series = np.concatenate([series, forecaster.predict(series[np.newaxis])[0, -1:]])
    assert np.array_equal(forecaster.forecast(x, 5), series[7:])
    assert np.array_equal(forecaster.forecast(x[:1], 5)[:1], forecaster.predict(x[np.newaxis, :1])[0])
    assert forecaster.forecast(x, 0).shape == (0, 2)
    with forecaster.stream() as stream:
        stream.process(x[:-1])
        room = np.full((3, 2), np.nan, np.float32)
        assert stream.forecast(x[-1], 3, out=room) is room
        assert np.array_equal(room, series[7:10])
        assert np.array_equal(stream.forecast(series[9], 2), series[10:])


def test_forecast_with_ones_own_next_input(rng):
    """A model that gives mean and deviation of one number: the next is drawn by the caller."""
    model = lstm.Sequential([LSTM(6, return_sequences=True, input_shape=(None, 1)), Dense(2)], seed=4)
    x = rng.normal(size=(4, 1)).astype(np.float32)

    def drawn(seed):
        draws = np.random.default_rng(seed)
        return lambda y: [y[0] + abs(y[1]) * draws.normal()]

    y, next_input = model.forecast(x, 6, drawn(1)), drawn(1)
    series = x
    for step in range(6):
        np.testing.assert_array_equal(y[step], model.predict(series[np.newaxis])[0, -1])
        series = np.concatenate([series, np.array([next_input(y[step])], np.float32)])
    with pytest.raises(UnsupportedError, match="reads 1 and gives 2"):
        model.forecast(x, 6)
