"""Generated tokens: the most probable ones, those of a seed, who hears of them, and what is refused."""

import itertools

import numpy as np
import pytest
from language import MODEL, ORACLE, PROMPT, VOCABULARY, Oracle, greedy, language

import lstm
from lstm import UnsupportedError
from lstm.layers import LSTM, Activation, Bidirectional, Dense, Embedding


@pytest.mark.parametrize("softmax", [True, False])
def test_greedy(softmax):
    model = language(softmax=softmax)
    expected, total = greedy(Oracle(model, softmax), PROMPT, 25)
    tokens, logs = model.generate(PROMPT, 25, temperature=0, return_log_probabilities=True)
    assert tokens.dtype == np.int32 and tokens.tolist() == expected
    assert len(set(expected)) > 1
    np.testing.assert_allclose(logs, [total], atol=1e-4)
    assert np.array_equal(tokens, model.generate(PROMPT, 25, top_k=1, temperature=3.0))
    assert np.array_equal(tokens, model.generate(np.array(PROMPT, np.uint8), 25, top_p=1e-9))


def test_a_layer_of_softmax_and_a_graph():
    """The same whether softmax is of the dense layer or one of its own, in a chain or a graph."""
    x = lstm.Input((None,))
    h = LSTM(7, return_sequences=True)(Embedding(VOCABULARY, 5)(x))
    graph = lstm.Model(x, Activation("softmax")(Dense(VOCABULARY)(h)), seed=2)
    chain = lstm.Sequential(
        [Embedding(VOCABULARY, 5), LSTM(7, return_sequences=True), Dense(VOCABULARY, activation="softmax")], seed=2
    )
    chain.set_weights(graph.get_weights())
    oracle = Oracle(chain)
    oracle.next = lambda tokens: np.log(np.float64(chain.predict(np.array([tokens]))[0, -1]))
    expected, _ = greedy(oracle, PROMPT, 8)
    assert graph.generate(PROMPT, 8, temperature=0).tolist() == expected
    assert chain.generate(PROMPT, 8, temperature=0).tolist() == expected


def test_seeds():
    a, b = (MODEL.generate(PROMPT, 40, seed=seed) for seed in (1, 2))
    assert np.array_equal(a, MODEL.generate(PROMPT, 40, seed=1)) and not np.array_equal(a, b)
    rows = MODEL.generate(PROMPT, 40, seed=1, sequences=5)
    assert np.array_equal(rows[0], a) and len({tuple(row) for row in rows}) == 5
    assert np.array_equal(a[:10], MODEL.generate(PROMPT, 10, seed=1))
    for threads in (0, 2):
        again = MODEL.generate(PROMPT, 40, seed=1, sequences=5, threads=threads)
        assert np.array_equal(rows, again)
        assert np.array_equal(a, MODEL.generate(PROMPT, 40, seed=1, threads=threads))
    assert MODEL.generate(PROMPT, 40, seed=2**64 - 1).shape == (40,)


def test_every_kernel_set():
    """Floats of other kernels differ in their last bits: of a few tokens none is so near a limit."""
    expected = MODEL.generate(PROMPT, 20, seed=4, top_p=0.9).tolist()
    try:
        for name in ("baseline", "avx2", "avx512"):
            try:
                lstm.use_kernels(name)
            except UnsupportedError:
                continue
            assert language().generate(PROMPT, 20, seed=4, top_p=0.9).tolist() == expected
    finally:
        lstm.use_kernels("auto")


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_compressed_models_generate(weights):
    model = MODEL.compress(weights)
    assert model.generate(PROMPT, 10, temperature=0).tolist() == greedy(Oracle(model), PROMPT, 10)[0]


# Listening, and token by token


def test_the_callback_hears_every_token_in_order():
    heard = []
    rows, logs = MODEL.generate(
        PROMPT, 12, sequences=3, end=2, seed=8, callback=lambda *one: heard.append(one), return_log_probabilities=True
    )
    assert [sequence for _, _, sequence in heard[:3]] == [0, 1, 2]
    for sequence, row in enumerate(rows):
        own = [(token, log) for token, log, number in heard if number == sequence]
        assert [token for token, _ in own] == row.tolist()
        assert abs(sum(log for _, log in own) - logs[sequence]) < 1e-9
        assert own[0][1] == pytest.approx(ORACLE.next(PROMPT)[row[0]], abs=1e-5)
    places = [[i for i, one in enumerate(heard) if one[2] == sequence] for sequence in range(3)]
    rounds = [heard[i][2] for i in range(len(heard))]
    assert rounds == [s for index in range(12) for s in range(3) if index < len(places[s])]


def test_the_callback_stops():
    heard = []

    def listen(token, log_probability, sequence):
        heard.append(token)
        return len(heard) == 5

    tokens = MODEL.generate(PROMPT, 30, seed=6, callback=listen)
    assert tokens.tolist() == heard == MODEL.generate(PROMPT, 5, seed=6).tolist()


def test_what_a_callback_raises_comes_out():
    def fail(token, log_probability, sequence):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        MODEL.generate(PROMPT, 30, callback=fail)


def test_a_callback_may_use_the_model():
    inner = []

    def listen(token, log_probability, sequence):
        inner.append(MODEL.generate(PROMPT, 3, seed=1).tolist())
        MODEL.predict([PROMPT])

    tokens = MODEL.generate(PROMPT, 4, seed=6, callback=listen)
    assert np.array_equal(tokens, MODEL.generate(PROMPT, 4, seed=6))
    assert inner == [MODEL.generate(PROMPT, 3, seed=1).tolist()] * 4


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"top_k": 3, "top_p": 0.9, "repetition_penalty": 1.3}])
def test_token_by_token(options):
    whole = MODEL.generate(PROMPT, 30, seed=9, end=5, **options).tolist()
    assert list(MODEL.generate_stream(PROMPT, 30, seed=9, end=5, **options)) == whole
    endless = MODEL.generate_stream(PROMPT, seed=9, **options)
    assert list(itertools.islice(endless, 8)) == MODEL.generate(PROMPT, 8, seed=9, **options).tolist()
    endless.close()
    assert list(endless) == []


def test_two_generators_of_one_model_and_its_end():
    model = language()
    a, b = model.generate_stream(PROMPT, 20, seed=1), model.generate_stream([2, 2], 20, seed=2)
    expected = model.generate(PROMPT, 20, seed=1).tolist(), model.generate([2, 2], 20, seed=2).tolist()
    del model
    assert tuple(map(list, zip(*zip(a, b)))) == expected


# Bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": []}, ValueError, "prompt.*at least one token"),
        ({"prompt": [1, 6]}, ValueError, r"prompt\[1\]: expected a token from 0 to 5, got 6"),
        ({"prompt": [-1]}, ValueError, "prompt.*-1"),
        ({"prompt": [1.5]}, ValueError, "prompt.*1.5"),
        ({"prompt": [[1, 2]]}, ValueError, "prompt.*one axis"),
        ({"prompt": "text"}, UnsupportedError, "text layer"),
        ({"prompt": ["text"]}, TypeError, "prompt.*text layer"),
        ({"prompt": 3}, TypeError, "prompt: expected an array"),
        ({"max_length": 0}, ValueError, "max_length: .*got 0"),
        ({"max_length": 2**56}, MemoryError, "max_length"),
        ({"max_length": "long"}, TypeError, "max_length: .*'long'"),
        ({"min_length": -1}, ValueError, "min_length: .*-1"),
        ({"temperature": -0.5}, ValueError, "temperature: .*-0.5"),
        ({"temperature": float("nan")}, ValueError, "temperature: .*nan"),
        ({"temperature": "hot"}, TypeError, "temperature: .*'hot'"),
        ({"top_k": 0}, ValueError, "top_k: .*got 0"),
        ({"top_p": 0}, ValueError, "top_p: .*got 0"),
        ({"top_p": 1.1}, ValueError, "top_p: .*1.1"),
        ({"repetition_penalty": 0}, ValueError, "repetition_penalty: .*got 0"),
        ({"sequences": 0}, ValueError, "sequences: .*got 0"),
        ({"sequences": 5000}, ValueError, "sequences: .*5000"),
        ({"beams": 0}, ValueError, "beams: .*got 0"),
        ({"beams": 2, "top_k": 3}, ValueError, "top_k: expected 0 with beams"),
        ({"beams": 2, "sequences": 3}, ValueError, "sequences: expected at most 2"),
        ({"beams": 2, "callback": print}, ValueError, "token: expected NULL with beams"),
        ({"length_penalty": 1}, ValueError, "length_penalty: expected 0 without beams"),
        ({"end": 6}, ValueError, r"end_tokens\[0\].*6"),
        ({"end": -1}, ValueError, "end: .*-1"),
        ({"end": 1.5}, TypeError, "end: expected integers"),
        ({"end": "."}, UnsupportedError, "text layer"),
        ({"suppress": range(6)}, ValueError, "suppressed: expected to leave a token"),
        ({"seed": -1}, ValueError, "seed: .*-1"),
        ({"threads": 5000}, ValueError, "threads: .*5000"),
    ],
)
def test_generate_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        MODEL.generate(**{"prompt": PROMPT, **arguments})


def test_a_generator_refuses_at_once():
    with pytest.raises(ValueError, match="temperature"):
        MODEL.generate_stream(PROMPT, temperature=-1)
    with pytest.raises(ValueError, match="prompt"):
        MODEL.generate_stream([])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([LSTM(3, input_shape=(None, 2)), Dense(4)], "reads tokens, got one that reads numbers"),
        ([Embedding(5, 2), LSTM(3), Dense(4)], "each of its 5 tokens"),
        ([Embedding(5, 2), LSTM(3), Dense(5, "sigmoid")], "logits or softmax as its output, got sigmoid"),
        ([Embedding(5, 2), Bidirectional(LSTM(3)), Dense(5)], "needs the whole sequence first"),
        ([Embedding(5, 2), LSTM(3, go_backwards=True), Dense(5)], "go_backwards"),
    ],
)
def test_what_is_no_language_model(layers, message):
    with pytest.raises(UnsupportedError, match=message):
        lstm.Sequential(layers).generate([1], 3)
