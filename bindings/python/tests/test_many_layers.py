"""Models of several inputs and outputs with the layers around the recurrent ones."""

import numpy as np
import pytest

import lstm
from lstm import layers
from lstm.layers import GRU, LSTM, Add, BatchNormalization, Concatenate, Conv1D, Dense, Input, Masking

RANDOM = np.random.default_rng(7)
A = RANDOM.normal(size=(9, 6, 3)).astype(np.float32)
B = RANDOM.normal(size=(9, 4, 2)).astype(np.float32)
Y = RANDOM.normal(size=(9, 2)).astype(np.float32)
VALID = RANDOM.random((9, 6)) < 0.6
OPTIMIZER = lstm.optimizers.SGD(0.1)


def two_sequences(masked):
    a, b = Input((None, 3), name="a"), Input((None, 2), name="b")
    read = LSTM(5, return_sequences=True, name="read")(Masking(-1.0)(a) if masked else a)
    other = GRU(3, name="other")(Masking(2.0)(b) if masked else b)
    trunk = Concatenate(name="trunk")([LSTM(4, name="top")(read), other])
    model = lstm.Model([a, b], [Dense(2, name="out")(trunk), read], seed=3)
    model.compile(OPTIMIZER, ["mse", "mae"])
    return model


def test_each_input_has_a_masking_layer_of_its_own():
    masked, plain = two_sequences(True), two_sequences(False)
    masked.set_weights(plain.get_weights())
    ends = np.array([4, 1, 2, 3, 4, 4, 3, 2, 1])
    x = np.where(VALID[..., None], A, np.float32(-1))
    z = np.where((np.arange(4) < ends[:, None])[..., None], B, np.float32(2))
    padding = {"mask": [VALID, None], "lengths": [None, ends]}
    steps = RANDOM.normal(size=(9, 6, 5)).astype(np.float32)
    for one, other in zip(masked.predict([x, z]), plain.predict([A, B], **padding)):
        np.testing.assert_array_equal(one, other)
    with masked.trainer() as first, plain.trainer() as second:
        assert first.step([x, z], [Y, steps]) == second.step([A, B], [Y, steps], **padding)
        for name in plain.weight_shapes:
            np.testing.assert_array_equal(first.gradient(name), second.gradient(name))


def test_a_masking_layer_is_the_only_reader_of_its_input():
    a, b = Input((None, 3), name="a"), Input((3,), name="b")
    trunk = Add()([LSTM(4, name="one")(Masking()(a)), GRU(4, name="two")(a), Dense(4)(b)])
    with pytest.raises(ValueError, match='masking layer to be the only reader of input "a", got 2'):
        lstm.Model([a, b], trunk).build()


def test_each_path_has_steps_of_its_own():
    a, b = Input((None, 3), name="a"), Input((None, 2), name="b")
    few = layers.GlobalMaxPooling1D(name="few")(Conv1D(4, 3, name="conv")(b))
    model = lstm.Model([a, b], [layers.MaxPooling1D(2)(LSTM(4, return_sequences=True)(a)), few], seed=1)
    halves, most = model.predict([A, B])
    assert halves.shape == (9, 3, 4) and most.shape == (9, 4)
    kernel, bias = model.get_layer("conv").get_weights()
    windows = np.stack([np.tensordot(B[:, i : i + 3], kernel, 2) for i in range(2)]) + bias
    np.testing.assert_allclose(most, windows.max(0), atol=2e-6)
    with pytest.raises(ValueError, match=r'at least 3 timesteps for layer "conv", got 2'):
        model.predict([A, B[:, :2]])


def test_a_batch_that_stays_together_gives_the_same_bits_for_any_number_of_threads():
    a, b = Input((None, 3), name="a"), Input((None, 2), name="b")
    found = []
    for threads in (1, 2, 3, 8):
        normal = BatchNormalization(momentum=0.5, name="normal")(LSTM(5, return_sequences=True, name="read")(a))
        wide = BatchNormalization(name="wide")(GRU(5, name="other")(b))
        trunk = Add(name="sum")([LSTM(5, name="top")(normal), wide])
        model = lstm.Model([a, b], [Dense(2, name="out")(trunk), Dense(1, name="each")(normal)], seed=5)
        model.compile(OPTIMIZER, "mse")
        x, z = np.tile(A, (5, 1, 1)), np.tile(B, (5, 1, 1))
        steps, lengths = np.tile(A[..., :1], (5, 1, 1)), np.tile([6, 3, 1, 2, 5, 6, 4, 6, 2], 5)
        padding = {"lengths": {"a": lengths}, "threads": threads}
        model.fit([x, z], [np.tile(Y, (5, 1)), steps], epochs=2, batch_size=45, verbose=0, **padding)
        found.append([model.get_weight(name) for name in model.weight_shapes])
        moving = dict(zip(model.weight_shapes, found[0]))["normal.moving_mean"]
        assert np.abs(moving).max() > 1e-3
    for others in found[1:]:
        for one, other in zip(found[0], others):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("layer", [LSTM, GRU])
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_given_states_beyond_one_stay_so_in_compressed_models(layer, weights):
    x, given = Input((None, 3), name="x"), [Input((40,), name=name) for name in ("h", "c")[: 2 if layer is LSTM else 1]]
    model = lstm.Model([x, *given], layer(40, name="layer")(x, initial_state=given), seed=6)
    states = [3 * RANDOM.normal(size=(9, 40)).astype(np.float32) for _ in given]
    compressed = model.compress(weights)
    rounded = lstm.Model([x, *given], layer(40, name="layer")(x, initial_state=given))
    rounded.set_weights([compressed.get_weight(name) for name in compressed.weight_shapes])
    # One step, so that all of the given states is still there; 8 bits round each to 1/127 of the row's largest.
    exact, found = rounded.predict([A[:, :1], *states]), compressed.predict([A[:, :1], *states])
    np.testing.assert_allclose(found, exact, atol=0.05 if weights == "int8" else 0)
    assert np.abs(exact - model.predict([A[:, :1], *states])).max() > 0
