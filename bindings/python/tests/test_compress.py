"""Compressed weights: what they are rounded to, what stays as it was, what is refused, what it costs in accuracy."""

import copy
import runpy

import numpy as np
import pytest
from conftest import ROOT

import lstm
from lstm import UnsupportedError
from lstm.layers import GRU, LSTM, Dense

FORMATS = ["bfloat16", "int8"]


@pytest.fixture
def model():
    """Enough units for the compressed kernels."""
    model = lstm.Sequential([LSTM(20, return_sequences=True, input_shape=(None, 3)), GRU(18), Dense(2)], seed=3)
    model.compile("adam", "mse")
    return model


def matrices(model):
    return {name: weight for name, weight in named(model).items() if name.endswith("weights")}


def named(model):
    return dict(zip(model.weight_shapes, model.get_weights()))


def test_bfloat16_is_the_nearest(model):
    """Of the two numbers of 8 bits around each weight it is the nearer one, or from the middle the even one."""
    rounded = named(model.compress("bfloat16"))
    for name, weight in matrices(model).items():
        below = (weight.view(np.uint32) & 0xFFFF0000).view(np.float32)
        above = ((weight.view(np.uint32) & 0xFFFF0000) + 0x10000).view(np.float32)
        down, up = abs(weight.astype(np.float64) - below), abs(above - weight.astype(np.float64))
        is_even = below.view(np.uint32) & 0x10000 == 0
        assert np.array_equal(rounded[name], np.where((down < up) | ((down == up) & is_even), below, above)), name
    for name in rounded.keys() - matrices(model).keys():
        assert np.array_equal(rounded[name], named(model)[name]), name


def test_int8_is_the_nearest(model):
    rounded = named(model.compress("int8"))
    for name, weight in matrices(model).items():
        scale = abs(weight.astype(np.float64)).max(axis=0) / 127
        integers = rounded[name] / (abs(rounded[name]).max(axis=0) / np.float32(127))
        assert np.allclose(integers, np.round(weight / scale), atol=1e-3), name


@pytest.mark.parametrize("weights", FORMATS)
def test_predictions_are_near_and_streams_give_the_same(model, rng, weights):
    x = rng.normal(size=(40, 5, 3)).astype(np.float32)
    small, exact = model.compress(weights), model.predict(x, verbose=0)
    y = small.predict(x, verbose=0)
    assert 0 < abs(y - exact).max() < 0.03 * abs(exact).max()
    assert np.array_equal(small.predict(x[7:8], verbose=0), y[7:8])
    stream = small.stream()
    assert np.array_equal([stream.step(step) for step in x[7]][-1], y[7])


@pytest.mark.parametrize("weights", FORMATS)
def test_file_opens_in_any_reader(model, tmp_path, weights):
    safetensors = pytest.importorskip("safetensors")
    small = model.compress(weights)
    small.save(tmp_path / "small.safetensors")
    loaded = lstm.load_model(tmp_path / "small.safetensors")
    assert loaded.to_bytes() == small.to_bytes() == copy.copy(small).to_bytes()
    with open(tmp_path / "small.safetensors", "rb") as file:
        tensors = dict(safetensors.deserialize(file.read()))
    for name, weight in named(small).items():
        tensor = tensors.pop(name)
        assert tuple(tensor["shape"]) == weight.shape
        data = bytes(tensor["data"])
        if not name.endswith("weights"):
            assert (tensor["dtype"], data) == ("F32", weight.tobytes())
        elif weights == "bfloat16":
            values = np.frombuffer(data, "<u2").astype(np.uint32) << 16
            assert tensor["dtype"] == "BF16" and np.array_equal(values.view(np.float32), weight.ravel())
        else:
            scales = np.frombuffer(bytes(tensors.pop(f"{name}.scales")["data"]), np.float32)
            integers = np.frombuffer(data, np.int8).reshape(weight.shape)
            assert tensor["dtype"] == "I8" and np.array_equal(integers * scales, weight)
    assert not tensors


@pytest.mark.parametrize("weights", FORMATS)
def test_learning_is_refused(model, weights):
    small = model.compress(weights)
    with pytest.raises(UnsupportedError, match=f"float32, got {weights}"):
        small.compile("adam", "mse")
    with pytest.raises(UnsupportedError, match="prediction only"):
        small.set_weights(small.get_weights())


def test_bad_formats_are_refused(model):
    with pytest.raises(ValueError, match="'bfloat16' or 'int8', got 'int4'"):
        model.compress("int4")


def test_accuracy_on_film_reviews(capsys):
    """The demo's model after four epochs, on all reviews that it has not learned from."""
    demo, data = runpy.run_path(str(ROOT / "examples" / "python" / "02_sentiment.py")), ROOT / "data" / "movie-reviews"
    (texts, labels), (more, more_labels) = (demo["read"](data / f"{name}.tsv") for name in ("test", "validation"))
    learned, learned_labels = demo["read"](data / "train.tsv")
    model = demo["make_model"]()
    model.adapt(learned)
    model.fit(learned, learned_labels, batch_size=64, epochs=4, verbose=0)
    texts, labels = texts + more, np.concatenate([labels, more_labels])

    def points(model):
        return 100 * np.mean((model.predict(texts, verbose=0)[:, 0] > 0.5) == labels)

    exact, half, byte = points(model), points(model.compress("bfloat16")), points(model.compress("int8"))
    with capsys.disabled():
        print(f"\n    accuracy on {len(texts)} reviews: float32 {exact:.2f}, bfloat16 {half:.2f}, int8 {byte:.2f} %")
    assert exact > 75
    assert half > exact - 0.2
    assert byte > exact - 0.5
