"""Attention and Transformer blocks: what they compute, functional style, streams, errors."""

import numpy as np
import pytest

import lstm
from lstm import UnsupportedError
from lstm.layers import (
    GRU,
    AdditiveAttention,
    Attention,
    Dense,
    Embedding,
    Input,
    LayerNormalization,
    MultiHeadAttention,
    TransformerDecoder,
    TransformerEncoder,
)

X = np.random.default_rng(1).normal(size=(5, 7, 6)).astype(np.float32)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def heads(x, number):
    return x.reshape(*x.shape[:2], number, -1).swapaxes(1, 2)


def test_multi_head_attention_is_what_its_paper_says():
    model = lstm.Sequential([MultiHeadAttention(2, 4, 3, input_shape=(None, 6))], seed=2)
    model.build()
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=weight.shape) / 2 for weight in model.get_weights()]
    assert [weight.shape for weight in weights] == [(6, 8), (8,), (6, 8), (8,), (6, 6), (6,), (6, 6), (6,)]
    model.set_weights(weights)
    q, k, v = (heads(X @ weights[i] + weights[i + 1], 2) for i in (0, 2, 4))
    mixed = softmax(q @ k.swapaxes(2, 3) / 2) @ v
    expected = mixed.swapaxes(1, 2).reshape(5, 7, 6) @ weights[6] + weights[7]
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [Attention, AdditiveAttention])
def test_attention_reads_two_layers(layer):
    x = Input((None, 6))
    query, value = Dense(4, name="query")(x), Dense(4, "tanh", name="value")(x)
    model = lstm.Model(x, layer(name="attend")([query, value]), seed=3)
    parts = {name: lstm.Model(x, Dense(4, "tanh" if name == "value" else None)(x)) for name in ("query", "value")}
    for name, part in parts.items():
        part.build()
        part.set_weights(model.get_layer(name).get_weights())
    q, k = (parts[name].predict(X).astype(np.float64) for name in ("query", "value"))
    if layer is Attention:
        scores = q @ k.swapaxes(1, 2)
    else:
        (weight,) = model.get_layer("attend").get_weights()
        scores = np.tanh(q[:, :, None] + k[:, None]) @ weight
    np.testing.assert_allclose(model.predict(X), softmax(scores) @ k, rtol=1e-5, atol=1e-6)


def causal_model():
    return lstm.Sequential(
        [
            Embedding(9, 8, mask_zero=True),
            TransformerEncoder(12, 2, causal=True, window=4, norm_first=True),
            TransformerEncoder(12, 4, 3, "gelu", causal=True, window=50, dropout=0.1),
            LayerNormalization(),
            Dense(9, "softmax"),
        ],
        seed=4,
    )


def test_a_causal_transformer_learns_saves_and_streams(tmp_path):
    model = causal_model()
    model.compile(lstm.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    tokens = 1 + (np.arange(20)[:, None] + np.arange(12)) % 8
    following = 1 + tokens % 8
    before = model.evaluate(tokens, following, verbose=0)
    model.fit(tokens, following, epochs=15, verbose=0)
    assert model.evaluate(tokens, following, verbose=0) < before / 4
    answers = model.predict(tokens)
    np.testing.assert_array_equal(model.stream().process(tokens[3]), answers[3])
    model.save(tmp_path / "model.safetensors")
    loaded = lstm.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(tokens), answers)
    assert [layer.describe() for layer in loaded.layers] == [layer.describe() for layer in model.layers]


def test_a_decoder_reads_an_encoder():
    x = Input((None, 6))
    memory = TransformerEncoder(12, 2)(x)
    y = TransformerDecoder(12, 4, 3)([Dense(8)(x), memory])
    model = lstm.Model(x, GRU(2)(y), seed=1)
    short = np.concatenate([X[:, :4], np.full((5, 3, 6), np.nan, np.float32)], 1)
    padded = model.predict(short, lengths=np.full(5, 4))
    np.testing.assert_array_equal(padded, model.predict(X[:, :4]))
    with pytest.raises(UnsupportedError, match=r"needs the whole sequence first .it is not causal"):
        model.stream()


def test_a_compressed_model_answers_nearly_the_same():
    model = lstm.Sequential([MultiHeadAttention(2, 8, input_shape=(None, 6)), Dense(3)], seed=1)
    model.build()
    for kind, error in (("bfloat16", 0.01), ("int8", 0.03)):
        np.testing.assert_allclose(model.compress(kind).predict(X), model.predict(X), atol=error)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda x: MultiHeadAttention(0, 4)(x), ValueError, r"num_heads: expected a positive integer, got 0"),
        (lambda x: MultiHeadAttention(2, 4, window=3)(x), ValueError, r"window: expected null, since causal is false"),
        (lambda x: MultiHeadAttention(2, 4, causal=True, window=0)(x), ValueError, r"window: .*got 0"),
        (lambda x: MultiHeadAttention(2, 4, dropout=1)(x), ValueError, r"dropout: .*got 1"),
        (lambda x: TransformerEncoder(8, 4)(x), ValueError, r"key_dim: .*6 features are no multiple of 4 heads"),
        (lambda x: TransformerEncoder(8, 2, activation="softmax")(x), ValueError, r"activation: .*softmax"),
        (lambda x: Attention()(x), ValueError, r"inputs: expected a list of 2 or more names of layers, got 1"),
        (lambda x: Attention(score_mode="sum")([x, x]), ValueError, r"score_mode: .*sum"),
        (lambda x: Attention()([x, Dense(5)(x)]), ValueError, r"inputs\[1\]: expected keys of as many features"),
        (lambda x: Attention()([x, GRU(6)(x)]), ValueError, r"\[timesteps, features\]: the layer before needs"),
        (lambda x: TransformerDecoder(8, 2)(x), ValueError, r"inputs: .*got 1"),
        (lambda x: MultiHeadAttention(2, 4, output_shape=3), UnsupportedError, "MultiHeadAttention: output_shape"),
        (lambda x: MultiHeadAttention(2, 4, heads=3), TypeError, "MultiHeadAttention.*'heads'"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    x = Input((None, 6))
    with pytest.raises(error, match=message):
        lstm.Model(x, make(x)).build()
