"""Fresh weights are drawn as Keras draws them: what can be said of them without the same random numbers."""

import driver
import numpy as np
import pytest


def fresh(*layers, seed=None, input_shape=(None, 40)):
    description = {"layers": list(layers), "input_shape": list(input_shape)}
    return driver.Model(description if seed is None else {**description, "seed": seed}).parameters()


def assert_uniform(values, limit):
    """Uniform on [-limit, limit]: the greatest gap between the empirical and the true distribution (Kolmogorov and
    Smirnov), which passes 2.3 / sqrt(n) once in 20,000 draws; the seed is fixed, so the test is not random."""
    values = np.sort(values.ravel().astype(np.float64))
    assert np.abs(values).max() <= limit * (1 + 1e-6)
    steps = np.arange(len(values) + 1) / len(values)
    true = (values / limit + 1) / 2
    assert max(np.max(steps[1:] - true), np.max(true - steps[:-1])) < 2.3 / np.sqrt(len(values))


def assert_orthogonal(values, rows, columns):
    """Orthonormal rows, of a random matrix: its entries have variance 1 / columns and no preferred sign, which those of
    the identity have."""
    values = values.astype(np.float64)
    assert values.shape == (rows, columns)
    np.testing.assert_allclose(values @ values.T, np.eye(rows), atol=1e-5)
    assert abs(values.mean()) < 5 / np.sqrt(values.size * columns)
    assert np.abs(values).max() < 6 / np.sqrt(columns)


@pytest.mark.parametrize("units, features", [(32, 40), (7, 90), (70, 5)])
def test_lstm(units, features):
    weights = fresh({"type": "lstm", "units": units}, seed=3, input_shape=(None, features))
    assert_uniform(weights["lstm.input_weights"], np.sqrt(6 / (features + 4 * units)))
    assert_orthogonal(weights["lstm.recurrent_weights"], units, 4 * units)
    i, f, g, o = weights["lstm.bias"].reshape(4, units)
    assert (f == 1).all() and not i.any() and not g.any() and not o.any()


def test_lstm_without_forget_bias():
    assert not fresh({"type": "lstm", "units": 5, "unit_forget_bias": False})["lstm.bias"].any()


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("units, features", [(32, 40), (7, 90), (70, 5)])
def test_gru(units, features, reset_after):
    layer = {"type": "gru", "units": units, "reset_after": reset_after}
    weights = fresh(layer, seed=3, input_shape=(None, features))
    assert_uniform(weights["gru.input_weights"], np.sqrt(6 / (features + 3 * units)))
    assert_orthogonal(weights["gru.recurrent_weights"], units, 3 * units)
    assert weights["gru.bias"].shape == ((2, 3 * units) if reset_after else (3 * units,))
    assert not weights["gru.bias"].any()


def test_bidirectional():
    """Each direction as if it were alone, and not the same numbers."""
    layer = {"type": "bidirectional", "layer": {"type": "lstm", "units": 16}}
    weights = fresh(layer, seed=3)
    for direction in ("forward", "backward"):
        assert_uniform(weights[f"bidirectional.{direction}_input_weights"], np.sqrt(6 / (40 + 4 * 16)))
        assert_orthogonal(weights[f"bidirectional.{direction}_recurrent_weights"], 16, 64)
        assert np.array_equal(weights[f"bidirectional.{direction}_bias"], np.repeat([0, 1, 0, 0], 16))
    for kind in ("input_weights", "recurrent_weights"):
        forward, backward = (weights[f"bidirectional.{direction}_{kind}"] for direction in ("forward", "backward"))
        assert not np.isclose(forward, backward).all()
    layer["layer"] = {"type": "gru", "units": 16}
    assert not fresh(layer)["bidirectional.forward_bias"].any()


def test_dense():
    weights = fresh({"type": "dense", "units": 30})
    assert_uniform(weights["dense.weights"], np.sqrt(6 / 70))
    assert not weights["dense.bias"].any()


def test_embedding():
    layer = {"type": "embedding", "vocabulary": 500, "units": 16}
    weights = driver.Model({"layers": [layer]}).parameters()["embedding.weights"]
    assert weights.shape == (500, 16)
    assert_uniform(weights, 0.05)


def test_seeds():
    layers = (
        {"type": "lstm", "units": 9, "name": "first", "return_sequences": True},
        {"type": "lstm", "units": 9, "name": "second"},
    )
    first, again, other = (fresh(*layers, seed=seed, input_shape=(None, 9)) for seed in (1, 1, 2))
    for name, values in first.items():
        assert values.tobytes() == again[name].tobytes()
        if not name.endswith("bias"):
            assert not np.isclose(values, other[name]).all()
    for kind in ("input_weights", "recurrent_weights"):
        assert not np.isclose(first[f"first.{kind}"], first[f"second.{kind}"]).all()


def test_no_seed_is_seed_0():
    layer = {"type": "lstm", "units": 9}
    unseeded, zero = fresh(layer), fresh(layer, seed=0)
    assert all(values.tobytes() == zero[name].tobytes() for name, values in unseeded.items())
