"""Saving, loading, pickling and copying: what is kept, and that damage is refused."""

import copy
import os
import pickle
import re

import numpy as np
import pytest
from conftest import same_weights
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm
from lstm import FormatError
from lstm.layers import LSTM, Dense, Embedding, Text


def through_file(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    return lstm.load_model(tmp_path / "model.safetensors")


WAYS = {
    "file": through_file,
    "bytes": lambda model, tmp_path: lstm.from_bytes(model.to_bytes()),
    "bytearray": lambda model, tmp_path: lstm.from_bytes(bytearray(model.to_bytes())),
    "pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model)),
    "copy": lambda model, tmp_path: copy.copy(model),
    "deepcopy": lambda model, tmp_path: copy.deepcopy(model),
}


@pytest.mark.parametrize("way", WAYS)
def test_training_resumes_bit_for_bit(way, regressor, regression, tmp_path):
    x, y = regression
    regressor.fit(x, y, epochs=2, batch_size=7, verbose=0)
    other = WAYS[way](regressor, tmp_path)
    assert same_weights(other, regressor) and other.to_bytes() == regressor.to_bytes()
    assert np.array_equal(other.predict(x), regressor.predict(x))
    frozen = other.get_weights()
    whole = regressor.fit(x, y, epochs=3, batch_size=7, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(frozen, other.get_weights()))  # independent
    resumed = other.fit(x, y, epochs=3, batch_size=7, verbose=0)
    assert resumed.history == whole.history
    assert same_weights(other, regressor)


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_copies_of_models_that_are_not_built(way, regression, tmp_path):
    model = lstm.Sequential([LSTM(3), Dense(1)], "unbuilt", seed=4)
    model.compile("adam", "mse")
    other = WAYS[way](model, tmp_path)
    assert not other.built and repr(other) == repr(model)
    assert all(a is not b for a, b in zip(model.layers, other.layers))
    for each in (model, other):
        each.fit(*regression, verbose=0)
    assert same_weights(model, other)


def test_copies_keep_what_python_added(regressor):
    class Mine(lstm.Sequential):
        pass

    model = Mine([Dense(1, input_shape=(2,))])
    model.note = ["kept"]
    model.build()
    for other in (copy.copy(model), copy.deepcopy(model)):
        assert type(other) is Mine and other.note == ["kept"] and other.note is not model.note
        assert other.layers[0].get_weights()[0].shape == (2, 1)
    assert pickle.loads(pickle.dumps(regressor)).layers[0].units == 4


def test_the_vocabulary_is_in_the_file(tmp_path):
    texts = ["Ein Film, wie er sein soll.", "Zu lang…", "映画"]
    model = lstm.Sequential([Text(), Embedding(30, 4, mask_zero=True), LSTM(3), Dense(1)])
    model.adapt(texts)
    other = through_file(model, tmp_path)
    assert other.layers[0].get_vocabulary() == model.layers[0].get_vocabulary()
    assert np.array_equal(other.predict(texts), model.predict(texts))


def test_weights_only(regressor, regression, tmp_path):
    regressor.fit(*regression, epochs=2, verbose=0)
    whole, small = tmp_path / "whole", tmp_path / "small"
    regressor.save(whole)
    regressor.save_weights(small)
    assert small.stat().st_size < whole.stat().st_size
    assert len(regressor.to_bytes(save_weights_only=True)) == small.stat().st_size
    assert same_weights(lstm.load_model(small), regressor)
    other = lstm.Sequential([LSTM(4, input_shape=(None, 3)), Dense(1)])
    other.load_weights(small)
    assert same_weights(other, regressor)
    with pytest.raises(ValueError, match="weights: expected 2 arrays, got 5"):
        lstm.Sequential([Dense(1, input_shape=(2,))]).load_weights(small)


def test_a_loaded_model_describes_itself(regressor):
    other = lstm.from_bytes(regressor.to_bytes())
    assert repr(other) == repr(regressor)
    assert other.to_json() == regressor.to_json()
    assert (other.name, other.seed) == (regressor.name, 3)
    assert other.evaluate(np.zeros((1, 2, 3)), [7.0], verbose=0)[1] == 7  # its metrics are there


def test_the_safetensors_package_opens_it(regressor, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    regressor.save(tmp_path / "model.safetensors")
    tensors = safetensors.load_file(tmp_path / "model.safetensors")
    for name, weight in zip(regressor.weight_shapes, regressor.get_weights()):
        assert np.array_equal(tensors[name], weight)


def test_paths(regressor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("plain", tmp_path / "path", b"bytes", "mödel", os.fsdecode(b"not-\xff-utf8")):
        regressor.save(path)
        assert same_weights(lstm.load_model(path), regressor)
    with pytest.raises(ValueError, match="zero characters"):
        regressor.save("a\0b")
    with pytest.raises(TypeError):
        regressor.save(5)


def test_missing_and_unwritable_files(regressor, tmp_path):
    for call in (
        lambda: lstm.load_model(tmp_path / "missing"),
        lambda: lstm.load_model(tmp_path),
        lambda: regressor.save(tmp_path / "no" / "folder"),
        lambda: regressor.save(tmp_path),
    ):
        with pytest.raises(OSError, match=re.escape(str(tmp_path))):
            call()
    assert list(tmp_path.iterdir()) == []


BYTES = lstm.Sequential([Dense(2, input_shape=(3,))]).to_bytes()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(BYTES) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_refused(position, bit):
    damaged = bytearray(BYTES)
    damaged[position] ^= 1 << bit
    with pytest.raises(FormatError):
        lstm.from_bytes(damaged)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, len(BYTES) - 1))
def test_a_shortened_file_is_refused(length):
    with pytest.raises(FormatError):
        lstm.from_bytes(BYTES[:length])


def test_what_is_no_model(tmp_path):
    assert issubclass(FormatError, ValueError)
    for data in (b"", b"nothing", os.urandom(1000), BYTES + b"x", pickle.dumps([1])):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(FormatError):
            lstm.load_model(tmp_path / "file")
    with pytest.raises(TypeError, match="data: expected bytes, got str"):
        lstm.from_bytes("text")


def test_a_failed_save_leaves_the_old_file(regressor, tmp_path):
    if os.geteuid() == 0:
        path = tmp_path / "folder"
        path.mkdir()
    else:
        path = tmp_path / "locked" / "model"
        path.parent.mkdir(mode=0o500)
    before = regressor.to_bytes()
    with pytest.raises(OSError):
        regressor.save(path)
    assert regressor.to_bytes() == before
