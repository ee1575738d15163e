"""What goes on in a model: gates, states, attention weights, what outputs depend on, norms of gradients, plots."""

import sys

import numpy as np
import pytest
from conftest import sigmoid

import lstm
from lstm import UnsupportedError
from lstm.callbacks import LambdaCallback
from lstm.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Input,
    MultiHeadAttention,
    Text,
    TransformerDecoder,
)


@pytest.fixture
def x(rng):
    return rng.normal(size=(5, 6, 3)).astype(np.float32)


def test_gates_are_those_of_the_equations(x):
    model = lstm.Sequential([LSTM(4, input_shape=(None, 3))], seed=2)
    model.build()
    gates, memory, hidden = (model.inspect(x, "lstm", what) for what in ("gates", "memory", "hidden"))
    kernel, recurrent, bias = (weight.astype(np.float64) for weight in model.get_weights())
    before = np.concatenate([np.zeros((5, 1, 4)), hidden[:, :-1]], axis=1)
    z = (x @ kernel + before @ recurrent + bias).reshape(5, 6, 4, 4)
    expected = np.stack([sigmoid(z[:, :, 0]), sigmoid(z[:, :, 1]), np.tanh(z[:, :, 2]), sigmoid(z[:, :, 3])], axis=2)
    assert gates.shape == (5, 6, 4, 4) and np.allclose(gates, expected, atol=1e-6)
    assert np.allclose(gates[:, :, 3] * np.tanh(memory), hidden, atol=1e-6)
    assert np.array_equal(hidden[:, -1], model.predict(x))


def test_padding_is_zero(x):
    model = lstm.Sequential([Bidirectional(GRU(4), input_shape=(None, 3)), Dense(1)], seed=2)
    model.build()
    lengths = np.array([6, 1, 3, 2, 4])
    for what in ("forward_gates", "backward_hidden"):
        shown = model.inspect(x, "bidirectional", what, lengths=lengths)
        for row, length in enumerate(lengths):
            assert not shown[row, length:].any() and shown[row, :length].all()
    assert np.array_equal(model.inspect(x, "dense", lengths=lengths), model.predict(x, lengths=lengths))


def test_attention_of_two_inputs(rng, x):
    source, target = Input((None, 3), name="source"), Input((None, 8), name="target")
    memory = LSTM(8, return_sequences=True)(source)
    model = lstm.Model([source, target], TransformerDecoder(8, 2, name="decoder")([target, memory]))
    given = [x, rng.normal(size=(5, 4, 8)).astype(np.float32)]
    own, cross = (model.inspect(given, "decoder", what) for what in ("attention", "cross_attention"))
    assert own.shape == (5, 2, 4, 4) and cross.shape == (5, 2, 4, 6)
    assert np.allclose(own.sum(-1), 1, atol=1e-6) and np.allclose(cross.sum(-1), 1, atol=1e-6)
    assert not np.triu(own[0, 0], 1).any()
    with pytest.raises(UnsupportedError, match="saliency: expected a model of one input"):
        model.saliency(given)


def test_saliency_is_the_slope(x):
    model = lstm.Sequential([LSTM(5, return_sequences=True, input_shape=(None, 3)), Dropout(0.5), LSTM(4), Dense(2)])
    model.build()
    gradient, h = model.saliency(x, 1), 1e-2
    for place in ((0, 0, 0), (3, 5, 2)):
        step = np.zeros_like(x)
        step[place] = h
        slope = (model.predict(x + step) - model.predict(x - step))[place[0], 1] / (2 * h)
        assert gradient[place] == pytest.approx(slope, abs=1e-4)
    shown = model.saliency(x, 1, "integrated_gradients", steps=100)
    assert np.allclose(shown.sum((1, 2)), (model.predict(x) - model.predict(0 * x))[:, 1], atol=1e-5)


def test_saliency_of_text():
    texts = ["good film", "a bad film, very bad", "film"]
    model = lstm.Sequential([Text(), Embedding(20, 4, mask_zero=True), LSTM(5), Dense(1)], seed=1)
    model.adapt(texts)
    assert model.saliency(texts).shape == (3, 6, 4)
    shown = model.saliency(texts, method="integrated_gradients")
    assert not shown[0, 2:].any() and shown[1].any()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda m, x: m.inspect(x, "lost"), ValueError, 'layer: expected the name of a layer, as "lstm", got "lost"'),
        (lambda m, x: m.inspect(x, "lstm", "gate"), ValueError, "what: expected output, hidden"),
        (lambda m, x: m.inspect(x, "dense", "gates"), UnsupportedError, 'layer "dense" shows "output", got "gates"'),
        (lambda m, x: m.saliency(x, 2), ValueError, "output: expected 0 to 1, got 2"),
        (lambda m, x: m.saliency(x, method="lime"), ValueError, "method: expected 'gradient' or"),
        (lambda m, x: m.saliency(x, steps=0), ValueError, "steps: expected at least 1, got 0"),
        (lambda m, x: m.compress("int8").saliency(x), UnsupportedError, "expected weights of float32, got int8"),
    ],
)
def test_refusals(x, act, error, words):
    model = lstm.Sequential([LSTM(4, input_shape=(None, 3)), Dense(2)])
    model.build()
    with pytest.raises(error, match=words):
        act(model, x)


def test_norms_of_gradients(regressor, regression):
    with lstm.Trainer(regressor) as trainer:
        with pytest.raises(ValueError, match="made a step"):
            trainer.gradient_norms()
        trainer.step(*regression)
        norms = trainer.gradient_norms()
        assert list(norms) == list(regressor.weight_shapes)
        for name, norm in norms.items():
            assert norm == pytest.approx(np.linalg.norm(trainer.gradient(name).astype(np.float64)), rel=1e-6)


def test_norms_in_a_callback(regressor, regression):
    heard = []
    assert regressor.gradient_norms == {}
    callback = LambdaCallback(on_train_batch_end=lambda batch, logs: heard.append(regressor.gradient_norms))
    regressor.fit(*regression, epochs=2, verbose=0, callbacks=[callback])
    assert len(heard) == 4 and all(set(norms) == set(regressor.weight_shapes) for norms in heard)
    assert all(norm > 0 for norms in heard for norm in norms.values()) and heard[0] != heard[-1]


def test_plots(x, tmp_path):
    pytest.importorskip("matplotlib")
    layers = [LSTM(8, return_sequences=True, input_shape=(None, 3)), MultiHeadAttention(2, 4), GRU(3), Dense(1)]
    model = lstm.Sequential(layers)
    model.build()
    figures = {
        "gates": lstm.plot.gates(model.inspect(x, "lstm", "gates")[0]),
        "gru": lstm.plot.gates(model.inspect(x, "gru", "gates")[0]),
        "attention": lstm.plot.attention(model.inspect(x, "multi_head_attention", "attention")[0], "abcdef", "abcdef"),
        "saliency": lstm.plot.saliency(model.saliency(x)[0], "abcdef"),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figures["gru"].axes[::2]] == ["z", "r", "n"]
    with pytest.raises(ValueError, match=r"gates: expected \[T, gates, units\] of one sample, got shape \(6, 3\)"):
        lstm.plot.gates(x[0])
    with pytest.raises(ValueError, match="labels: expected at most 6"):
        lstm.plot.saliency(x[0], "abcdefg")


def test_plots_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"lstm.plot.attention\(\) needs matplotlib: pip install matplotlib"):
        lstm.plot.attention(np.ones((1, 2, 2)))
