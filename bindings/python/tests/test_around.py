"""The layers around the recurrent ones: Keras's arguments, descriptions, shapes, weights, streams and errors."""

import copy

import numpy as np
import pytest
from conftest import described

import lstm
from lstm import UnsupportedError, layers
from lstm.layers import GRU, Conv1D, Dense, Input, LayerNormalization

SEQUENCES = [
    layers.Masking(-1.0),
    layers.SpatialDropout1D(0.2),
    layers.GaussianNoise(0.1),
    layers.GaussianDropout(0.25),
    layers.ZeroPadding1D((2, 1)),
    Conv1D(6, 3, 1, "causal", dilation_rate=2, activation="relu"),
    LayerNormalization(epsilon=0.01, center=False),
    layers.BatchNormalization(momentum=0.9, scale=False),
    layers.GroupNormalization(3, epsilon=0.1, scale=False),
    layers.MaxPooling1D(2, 1, "same"),
    layers.AveragePooling1D(pool_size=(2,)),
    layers.PositionalEncoding(merge="concat"),
    layers.PositionEmbedding(20),
    layers.Cropping1D(1),
    layers.Slice(0, 8),
    layers.Slice(-3, axis="time"),
    layers.Reshape((-1, 2, 4)),
    layers.Reshape((-1, 8)),
    GRU(5),
    layers.RepeatVector(3),
    layers.Last(),
    layers.Reshape((5, 1)),
    layers.Flatten(),
    Dense(2),
]


def test_layers_come_back_from_a_model():
    model = lstm.Sequential([Input((None, 4)), *copy.deepcopy(SEQUENCES)])
    back = lstm.from_bytes(model.to_bytes())
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in SEQUENCES]
    assert described(back) == described(model)
    assert model.predict(np.ones((2, 9, 4), np.float32), verbose=0).shape == (2, 2)


def test_descriptions():
    assert layers.Conv1D(4, (3,)).describe() == {
        "type": "conv1d",
        "filters": 4,
        "kernel_size": 3,
        "strides": 1,
        "padding": "valid",
        "dilation_rate": 1,
        "activation": "linear",
        "use_bias": True,
    }
    assert layers.MaxPooling1D().describe() == {"type": "max_pooling", "pool_size": 2, "padding": "valid"}
    assert layers.Cropping1D((3, 0)).describe() == {"type": "cropping", "before": 3, "after": 0}


def test_weights():
    model = lstm.Sequential([Input((None, 4)), Conv1D(6, 3), LayerNormalization(), layers.PositionEmbedding(9)])
    model.build()
    assert [weight.shape for weight in model.get_weights()] == [(3, 4, 6), (6,), (6,), (6,), (9, 6)]
    kernel, bias, gamma, beta, _ = model.get_weights()
    assert np.ptp(kernel) > 0.5 and np.abs(kernel).max() <= np.sqrt(6 / (12 + 18))
    assert (bias == 0).all() and (gamma == 1).all() and (beta == 0).all()


def test_a_convolution_learns_and_streams():
    x = np.random.default_rng(1).normal(size=(64, 12, 1)).astype(np.float32)
    y = x - 2 * np.pad(x, ((0, 0), (2, 0), (0, 0)))[:, :-2]
    model = lstm.Sequential([Input((None, 1)), Conv1D(1, 3, padding="causal")])
    model.compile(loss="mse", optimizer=lstm.optimizers.Adam(0.05))
    model.fit(x, y, epochs=60, verbose=0)
    assert np.allclose(model.get_weights()[0].ravel(), [-2, 0, 1], atol=0.05)
    stream = model.stream()
    steps = np.array([stream.step(step) for step in x[0]])
    assert np.array_equal(steps, model.predict(x[:1], verbose=0)[0])


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Conv1D(3, 2, data_format="channels_last", groups=1, kernel_initializer="glorot_uniform"),
        lambda: layers.MaxPooling1D(strides=None, data_format=None),
        lambda: layers.GlobalMaxPooling1D(keepdims=False),
        lambda: LayerNormalization([-1], gamma_initializer="ones", beta_initializer="zeros"),
        lambda: layers.GroupNormalization(axis=[-1], gamma_initializer="ones", beta_initializer="zeros"),
        lambda: layers.SpatialDropout1D(0.5, seed=None),
        lambda: layers.Flatten("channels_last"),
    ],
)
def test_kerass_neutral_arguments_are_taken(layer):
    layer()


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Conv1D(3, 2, groups=3),
        lambda: layers.MaxPooling1D(data_format="channels_first"),
        lambda: layers.GlobalAveragePooling1D(keepdims=True),
        lambda: LayerNormalization(axis=1),
        lambda: layers.GroupNormalization(axis=1),
    ],
)
def test_what_is_not_there_is_refused(layer):
    with pytest.raises(UnsupportedError):
        layer()


def test_errors_name_layer_and_steps():
    model = lstm.Sequential([Input((None, 1)), Conv1D(2, 4)])
    model.build()
    with pytest.raises(ValueError, match=r'at least 4 timesteps for layer "conv1d", got 3'):
        model.predict(np.zeros((1, 3, 1), np.float32), verbose=0)
    with pytest.raises(UnsupportedError, match="padding"):
        model.stream()


def test_group_normalization_leaves_padding_out():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 5, 6)).astype(np.float32)
    model = lstm.Sequential([Input((None, 6)), layers.GroupNormalization(2, epsilon=0.1)])
    model.build()
    model.set_weights([rng.normal(size=6), rng.normal(size=6)])
    gamma, beta = model.get_weights()
    y = model.predict(x, lengths=np.array([5, 3]), verbose=0)
    for row, steps in ((0, 5), (1, 3)):
        parts = x[row, :steps].astype(np.float64).reshape(steps, 2, 3)
        parts = parts - parts.mean(axis=(0, 2), keepdims=True)
        parts = parts / np.sqrt((parts**2).mean(axis=(0, 2), keepdims=True) + 0.1)
        assert np.allclose(y[row, :steps], parts.reshape(steps, 6) * gamma + beta, atol=2e-6)
    assert (y[1, 3:] == 0).all()


def test_group_normalization_refuses_what_it_cannot_do():
    model = lstm.Sequential([Input((None, 6)), layers.GroupNormalization(4)])
    with pytest.raises(ValueError, match=r"groups: expected -1 or a divisor of the 6 features, got 4"):
        model.build()
    model = lstm.Sequential([Input((None, 6)), layers.GroupNormalization(2)])
    model.build()
    with pytest.raises(UnsupportedError, match="group_normalization"):
        model.stream()
