"""Text and Normalize, which learn from data before training."""

import numpy as np

import lstm
from lstm.layers import LSTM, Dense, Embedding, Input, Normalize, Text


def test_text_takes_its_input_without_a_shape():
    model = lstm.Sequential([Input((1,), dtype="string"), Text(vocabulary=["a"]), Embedding(3, 2), LSTM(2)])
    assert model.predict(["a", "b a"]).shape == (2, 2)


def test_vocabulary_round_trip():
    texts = ["the film is good", "the film is bad", "the end"]
    model = lstm.Sequential([Text(), Embedding(20, 4, mask_zero=True), LSTM(3), Dense(1)])
    assert model.layers[0].get_vocabulary() == ["", "[UNK]"]
    model.adapt(texts)
    vocabulary = model.layers[0].get_vocabulary()
    assert vocabulary[:5] == ["", "[UNK]", "the", "film", "is"]  # the most frequent first
    assert sorted(vocabulary[5:]) == ["bad", "end", "good"]
    back = lstm.from_bytes(model.to_bytes())
    assert back.layers[0].get_vocabulary() == vocabulary
    assert np.array_equal(back.predict(texts), model.predict(texts))
    given = lstm.Sequential([Text(vocabulary=vocabulary[2:]), Embedding(20, 4, mask_zero=True), LSTM(3), Dense(1)])
    assert given.layers[0].get_vocabulary() == vocabulary
    given.set_weights(model.get_weights())
    assert np.array_equal(given.predict(texts), model.predict(texts))
    assert not np.array_equal(model.predict(["good"]), model.predict(["bad"]))
    assert np.array_equal(model.predict(["unheard"]), model.predict(["unseen"]))


def test_text_options():
    def tokens(texts, **options):
        """What the embedding sees: with weights equal to the index, and a dense layer that passes them on."""
        model = lstm.Sequential([Text(**options), Embedding(50, 1), Dense(1)])
        model.build()
        model.set_weights([np.arange(50)[:, np.newaxis], [[1.0]], [0.0]])
        return model.predict(texts)[:, :, 0].tolist()

    words = {"vocabulary": ["a", "b", "c", "A"]}
    assert tokens(["a b c", "b"], **words) == [[2, 3, 4], [3, 0, 0]]
    assert tokens(["a b c", "b"], length=2, **words) == [[2, 3], [3, 0]]
    assert tokens(["a b c", "b"], length=2, truncate="left", pad="left", **words) == [[3, 4], [0, 3]]
    assert tokens(["A x"], **words) == [[2, 1]]
    assert tokens(["A x"], lower=False, **words) == [[5, 1]]
    assert tokens(["ab c"], level="character", **words) == [[2, 3, 1, 4]]


def test_normalize_learns(rng):
    x = rng.normal(3, [1, 5], (200, 2))
    model = lstm.Sequential([Normalize(), Dense(1)])
    model.adapt(x)
    mean, variance = model.layers[0].get_weights()
    assert np.allclose(mean, x.mean(axis=0), rtol=1e-5) and np.allclose(variance, x.var(axis=0), rtol=1e-5)
    kernel, bias = model.layers[1].get_weights()
    expected = (x - x.mean(axis=0)) / x.std(axis=0) @ kernel + bias
    assert np.allclose(model.predict(x), expected, atol=1e-5)
