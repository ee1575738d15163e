"""What holds of generation for any options: tokens in range and among those allowed, seeds, greedy, beams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import MODEL, ORACLE, VOCABULARY, Oracle, greedy, language, log_softmax

TOKENS = st.integers(0, VOCABULARY - 1)
PROMPTS = st.lists(TOKENS, min_size=1, max_size=4)
LENGTHS = st.integers(1, 12)
SEEDS = st.integers(0, 2**64 - 1)
OPTIONS = st.fixed_dictionaries(
    {"max_length": LENGTHS, "seed": SEEDS},
    optional={
        "temperature": st.one_of(st.just(0.0), st.floats(1e-3, 100)),
        "top_k": st.integers(1, VOCABULARY + 3),
        "top_p": st.floats(1e-6, 1),
        "repetition_penalty": st.floats(0.1, 10),
        "min_length": st.integers(0, 12),
        "end": st.lists(TOKENS, max_size=2),
        "suppress": st.lists(TOKENS, max_size=VOCABULARY - 3),
    },
)
SMALL = language(vocabulary=3, scale=10.0)
SMALL_ORACLE = Oracle(SMALL)


def log_probability(oracle, prompt, tokens):
    return sum(oracle.next([*prompt, *tokens[:i]])[token] for i, token in enumerate(tokens))


@settings(max_examples=150, deadline=None)
@given(PROMPTS, OPTIONS)
def test_any_options(prompt, options):
    tokens, logs = MODEL.generate(prompt, **options, return_log_probabilities=True)
    tokens, ends = tokens.tolist(), options.get("end", [])
    assert all(0 <= token < VOCABULARY and token not in options.get("suppress", []) for token in tokens)
    ended = [i for i, token in enumerate(tokens) if token in ends]
    assert len(tokens) == (ended[0] + 1 if ended else options["max_length"])
    assert not ended or ended[0] >= options.get("min_length", 0)
    np.testing.assert_allclose(logs, [log_probability(ORACLE, prompt, tokens)], rtol=1e-4, atol=1e-4)
    assert MODEL.generate(prompt, **options).tolist() == tokens
    assert MODEL.generate(prompt, **options, beams=1, threads=2).tolist() == tokens
    assert list(MODEL.generate_stream(prompt, **options)) == tokens


@settings(max_examples=100, deadline=None)
@given(PROMPTS, LENGTHS, SEEDS, st.floats(0.05, 20), st.integers(1, VOCABULARY), st.floats(1e-6, 1))
def test_drawn_tokens_are_of_the_largest(prompt, length, seed, temperature, top_k, top_p):
    drawn = MODEL.generate(prompt, length, seed=seed, temperature=temperature, top_k=top_k, top_p=top_p).tolist()
    for i, token in enumerate(drawn):
        logs = ORACLE.next([*prompt, *drawn[:i]])
        larger = np.sort(logs)[::-1]
        assert logs[token] >= larger[top_k - 1] - 1e-5
        shares = np.exp(log_softmax(larger[:top_k] / temperature))
        assert shares[larger[:top_k] > logs[token] + 1e-5].sum() < top_p + 1e-3


@settings(max_examples=60, deadline=None)
@given(PROMPTS, LENGTHS, SEEDS, st.floats(1e-3, 100))
def test_greedy_is_the_largest_output_of_predict(prompt, length, seed, temperature):
    expected = greedy(ORACLE, prompt, length)[0]
    assert MODEL.generate(prompt, length, temperature=0, seed=seed).tolist() == expected
    assert MODEL.generate(prompt, length, top_k=1, temperature=temperature, seed=seed).tolist() == expected
    assert MODEL.generate(prompt, length, top_p=1e-9, temperature=temperature, seed=seed).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=3), st.integers(1, 4), SEEDS)
def test_all_beams_are_at_least_as_good(prompt, length, seed):
    """With as many beams as there are sequences none is better; with fewer the best of the search may be missed."""
    (best,), (score,) = SMALL.generate(prompt, length, beams=81, sequences=1, return_log_probabilities=True)
    assert score == pytest.approx(log_probability(SMALL_ORACLE, prompt, best.tolist()), abs=1e-4)
    for options in ({"temperature": 0}, {"seed": seed}):
        _, (other,) = SMALL.generate(prompt, length, **options, return_log_probabilities=True)
        assert score >= other - 1e-5


@settings(max_examples=40, deadline=None)
@given(PROMPTS, LENGTHS, st.integers(2, 8))
def test_beams_are_sorted_and_differ(prompt, length, beams):
    rows, logs = MODEL.generate(prompt, length, beams=beams, sequences=beams, return_log_probabilities=True)
    found = [row.tolist() for row in rows if len(row)]
    assert len({tuple(row) for row in found}) == len(found) == min(beams, VOCABULARY**length)
    assert all(a >= b for a, b in zip(logs, logs[1:]))
    expected = [log_probability(ORACLE, prompt, row) for row in found]
    np.testing.assert_allclose(logs[: len(found)], expected, atol=1e-4)
