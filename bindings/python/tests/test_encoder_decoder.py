"""Generation from a source: greedy, drawn and by beams as `predict` says, for every kind of decoder."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import log_softmax

import lstm
from lstm import UnsupportedError
from lstm.layers import (
    GRU,
    LSTM,
    AdditiveAttention,
    Attention,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    LayerNormalization,
    MultiHeadAttention,
    PositionalEncoding,
    Text,
    TransformerDecoder,
    TransformerEncoder,
)

VOCABULARY = 4


def sharpened(model):
    """Distributions that are far from uniform, and differ from step to step."""
    generator = np.random.default_rng(5)
    shapes = [weights.shape for weights in model.get_weights()]
    model.set_weights([generator.normal(size=shape) * (2 if shape[-1] == VOCABULARY else 1) for shape in shapes])
    return model


def states(encoder=LSTM, softmax=False):
    source, target = lstm.Input((None,), name="source"), lstm.Input((None,), name="target")
    _, *state = encoder(6, return_state=True)(Embedding(7, 5)(source))
    hidden = encoder(6, return_sequences=True)(Embedding(VOCABULARY, 5)(target), initial_state=state)
    output = Dense(VOCABULARY, activation="softmax" if softmax else None)(hidden)
    return sharpened(lstm.Model([source, target], output))


def attending(make):
    source, target = lstm.Input((None,), name="source"), lstm.Input((None,), name="target")
    keys, h, c = LSTM(6, return_sequences=True, return_state=True)(Embedding(7, 5)(source))
    queries = LSTM(6, return_sequences=True)(Embedding(VOCABULARY, 5)(target), initial_state=[h, c])
    read = make()([queries, keys])
    return sharpened(lstm.Model([source, target], Dense(VOCABULARY)(Concatenate()([queries, read]))))


def transformer(softmax=True):
    source, target = lstm.Input((None,), name="source"), lstm.Input((None,), name="target")
    encoded = TransformerEncoder(8, 2)(PositionalEncoding()(Embedding(7, 6)(source)))
    decoded = PositionalEncoding()(Embedding(VOCABULARY, 6)(target))
    for _ in range(2):
        decoded = TransformerDecoder(8, 2)([decoded, encoded])
    output = Dense(VOCABULARY, activation="softmax" if softmax else None)(decoded)
    return sharpened(lstm.Model([source, target], output))


def pooled():
    """What a bidirectional encoder makes of numbers, as the first state of a gru behind a causal convolution."""
    source, target = lstm.Input((None, 3), name="source"), lstm.Input((None,), name="target")
    read = Bidirectional(LSTM(4, return_sequences=True))(source)
    state = Dense(5, activation="tanh")(GlobalAveragePooling1D()(read))
    window = Conv1D(5, 3, padding="causal")(Embedding(VOCABULARY, 5)(target))
    hidden = GRU(5, return_sequences=True)(LayerNormalization()(window), initial_state=[state])
    return sharpened(lstm.Model([source, target], Dense(VOCABULARY)(hidden)))


MODELS = {
    "lstm": states(),
    "gru, softmax": states(GRU, softmax=True),
    "attention": attending(Attention),
    "scaled attention": attending(lambda: Attention(use_scale=True)),
    "additive attention": attending(AdditiveAttention),
    "heads": attending(lambda: MultiHeadAttention(2, 3)),
    "transformer": transformer(),
    "transformer, logits": transformer(softmax=False),
    "pooled": pooled(),
}
NAMES = st.sampled_from(sorted(MODELS))


def drawn_source(model, seed, steps):
    generator = np.random.default_rng(seed)
    if model is MODELS["pooled"]:
        return generator.normal(size=(steps, 3)).astype(np.float32)
    return generator.integers(0, 7, steps)


def is_softmax(name):
    return name in ("gru, softmax", "transformer")


def logs_of(name, source, prefixes):
    rows = np.repeat(np.asarray(source)[np.newaxis], len(prefixes), 0)
    y = MODELS[name].predict([rows, np.array(prefixes)], verbose=0)[:, -1].astype(np.float64)
    return np.log(y / y.sum(-1, keepdims=True)) if is_softmax(name) else log_softmax(y)


@settings(max_examples=90, deadline=None)
@given(NAMES, st.integers(0, 9), st.integers(1, 6), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_greedy_is_the_largest_output_of_predict(name, seed, steps, prompt):
    model = MODELS[name]
    source = drawn_source(model, seed, steps)
    tokens, logs = model.generate(prompt, 7, source=source, temperature=0, return_log_probabilities=True)
    total = 0.0
    for i, token in enumerate(tokens):
        (expected,) = logs_of(name, source, [[*prompt, *tokens[:i]]])
        assert token == expected.argmax()
        total += expected[token]
    assert logs == pytest.approx([total], abs=1e-4)
    assert list(model.generate_stream(prompt, 7, source=source, temperature=0)) == tokens.tolist()


@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(0, 9), st.integers(1, 3), st.booleans())
def test_all_beams_find_the_best_of_all(name, seed, length, ends):
    """Against an exhaustive search, with an end token and without."""
    model = MODELS[name]
    source = drawn_source(model, seed, 4)
    (best,), (score,) = model.generate(
        [1], length, source=source, beams=64, sequences=1, end=3 if ends else None, return_log_probabilities=True
    )
    sums = {(): 0.0}
    finished = {}
    for _ in range(length):
        after = {}
        for (before, total), logs in zip(sums.items(), logs_of(name, source, [[1, *tokens] for tokens in sums])):
            for token in range(VOCABULARY):
                (finished if ends and token == 3 else after)[(*before, token)] = total + logs[token]
        sums = after
    finished |= sums
    assert score == pytest.approx(max(finished.values()), abs=1e-4)
    assert finished[tuple(best)] == pytest.approx(score, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(0, 99), st.integers(1, 5), st.integers(1, 4))
def test_drawn_sequences(name, seed, sequences, top_k):
    """A sequence depends on its number and the seed alone; its log-probability is the model's."""
    model = MODELS[name]
    source, options = drawn_source(model, seed, 5), {"seed": seed, "top_k": top_k}
    rows, logs = model.generate(
        [0], 6, source=source, sequences=sequences, return_log_probabilities=True, end=2, **options
    )
    threaded = model.generate([0], 6, source=source, sequences=sequences, end=2, threads=2, **options)
    assert all(map(np.array_equal, rows, threaded))
    assert model.generate([0], 6, source=source, end=2, **options).tolist() == rows[0].tolist()
    for row, log in zip(rows, logs):
        expected = 0.0
        for i, token in enumerate(row):
            (own,) = logs_of(name, source, [[0, *row[:i]]])
            assert own[token] >= np.sort(own)[::-1][top_k - 1] - 1e-5
            expected += own[token]
        assert log == pytest.approx(expected, abs=1e-4)


def test_the_callback_hears_each_token():
    heard = []
    tokens = MODELS["attention"].generate([1], 9, source=[1, 2, 3], seed=4, callback=lambda *told: heard.append(told))
    assert [token for token, _, _ in heard] == tokens.tolist()


def test_a_language_model_that_looks_back_at_all_tokens():
    """Causal attention without a window, which a stream cannot have: here it is known how many tokens come."""
    inputs = lstm.Input((None,))
    hidden = PositionalEncoding()(Embedding(VOCABULARY, 6)(inputs))
    for _ in range(2):
        hidden = TransformerEncoder(8, 2, causal=True)(hidden)
    model = sharpened(lstm.Model(inputs, Dense(VOCABULARY)(hidden)))
    tokens = model.generate([1, 0], 40, temperature=0).tolist()
    whole = model.predict(np.array([[1, 0, *tokens]]), verbose=0)[0]
    assert tokens == whole[1:-1].argmax(-1).tolist()
    (best,) = model.generate([1, 0], 6, beams=4, sequences=1)
    assert len(best) == 6
    with pytest.raises(ValueError, match=r"max_length: expected at most 8388608 with the prompt.*looks back at all"):
        next(model.generate_stream([1, 0]))


def test_texts_and_words():
    source, target = lstm.Input((), dtype="string", name="source"), lstm.Input((), dtype="string", name="target")
    read = Embedding(9, 4, mask_zero=True)(Text(vocabulary=list("abcdefg"), level="character")(source))
    written = Embedding(6, 4, mask_zero=True)(Text(vocabulary=["^", "x", "y", "$"], level="character")(target))
    _, h, c = LSTM(4, return_state=True)(read)
    model = lstm.Model([source, target], Dense(6)(LSTM(4, return_sequences=True)(written, initial_state=[h, c])))
    text = model.generate("^", 12, source="abc", seed=3)
    assert isinstance(text, str) and set(text) <= set("^xy$�") and len(text) == 12
    tokens = model.generate(model.tokenize("^"), 12, source="abc", seed=3)
    assert model.detokenize(tokens) == text
    assert model.tokenize("xy").tolist() == [3, 4]


def begun(layer, source, target):
    """A layer over the target that begins with a state made from the source."""
    _, h, c = LSTM(5, return_state=True)(source)
    return layer(target, initial_state=[h, c])


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (lambda s, t, d: Bidirectional(LSTM(3, return_sequences=True), name="both")(d), '"both" needs'),
        (lambda s, t, d: Attention(name="mix")([d, d]), '"mix" needs the whole target first .it is not causal'),
        (lambda s, t, d: Attention(name="mix", causal=True)([d, s]), '"mix" reads steps of the source'),
        (lambda s, t, d: Attention(name="mix")([s, d]), '"mix" needs the whole target'),
        (lambda s, t, d: Concatenate(name="beside")([s, d]), '"beside" reads steps of the source together'),
        (lambda s, t, d: begun(LSTM(5, return_sequences=True), d, t), "gives its last state, for which the whole"),
        (
            lambda s, t, d: GRU(5, return_sequences=True, name="late")(
                d, initial_state=[Dense(5)(GlobalAveragePooling1D()(t))]
            ),
            "begins with a state that depends on the target",
        ),
    ],
)
def test_decoders_that_cannot_go_step_by_step(middle, message):
    source, target = lstm.Input((None,), name="source"), lstm.Input((None,), name="target")
    read, written = Embedding(7, 5)(source), Embedding(VOCABULARY, 5)(target)
    decoded = begun(LSTM(5, return_sequences=True), read, written)
    model = lstm.Model([source, target], Dense(VOCABULARY)(middle(read, written, decoded)))
    with pytest.raises(UnsupportedError, match=message):
        model.generate([1], source=[1, 2])


def test_what_is_refused():
    model = MODELS["lstm"]
    with pytest.raises(ValueError, match="call lstm_generate_from"):
        model.generate([1])
    with pytest.raises(ValueError, match="expected a token from 0 to 6, got 9"):
        model.generate([1], source=[1, 9])
    with pytest.raises(ValueError, match=r"source\.shape"):
        model.generate([1], source=[])
    with pytest.raises(ValueError, match=r"source\.shape: expected at most 8388608 timesteps, got 8388609"):
        model.generate([1], source=np.broadcast_to(np.uint8(1), 2**23 + 1))
    with pytest.raises(ValueError, match="prompt"):
        model.generate([], source=[1])
    with pytest.raises(ValueError, match=r"prompt\[0\]: expected a token from 0 to 3, got 4"):
        model.generate([4], source=[1])
    with pytest.raises(TypeError, match="source"):
        model.generate([1], source="text")
    single = lstm.Sequential([Embedding(4, 3, input_shape=(None,)), LSTM(3), Dense(4)])
    with pytest.raises(UnsupportedError, match="expected two inputs, a source and the target so far"):
        single.generate([1], source=[1])
    assert list(itertools.islice(model.generate_stream([1], source=[1, 2]), 5))
