"""Beam search beside exhaustive search over small vocabularies, and beside a beam search in numpy over larger ones."""

import numpy as np
import pytest
from language import PROMPT, Oracle, language


def penalty(length, alpha):
    return ((5 + length) / 6) ** alpha


def exhaustive(oracle, prompt, length, ends, alpha, min_length=0):
    """All sequences that end with an end token or at that length, with their log-probabilities, the best first."""
    found = []

    def extend(tokens, total):
        index = len(tokens)
        if index == length or (tokens and tokens[-1] in ends):
            found.append((tokens, total))
            return
        logs = oracle.next([*prompt, *tokens])
        for token, log in enumerate(logs):
            if token not in ends or index >= min_length:
                extend([*tokens, token], total + log)

    extend([], 0.0)
    return sorted(found, key=lambda one: -one[1] / penalty(len(one[0]), alpha))


@pytest.mark.parametrize("alpha", [0, 0.6, 2.0])
@pytest.mark.parametrize("ends", [[], [2], [0, 1]])
@pytest.mark.parametrize("min_length", [0, 2])
def test_wide_beams_are_exhaustive(alpha, ends, min_length):
    model = language(vocabulary=3, scale=10.0)
    expected = exhaustive(Oracle(model), [1], 5, ends, alpha, min_length)
    count = min(12, len(expected))
    rows, logs = model.generate(
        [1], 5, beams=300, sequences=count, end=ends, length_penalty=alpha, min_length=min_length,
        return_log_probabilities=True,
    )  # fmt: skip
    assert [row.tolist() for row in rows] == [tokens for tokens, _ in expected[:count]]
    np.testing.assert_allclose(logs, [total for _, total in expected[:count]], atol=1e-4)


def beam_search(oracle, prompt, length, beams, ends, alpha):
    """Of the candidates in order up to `beams` go on; those before the last of these that end are finished."""
    live, finished = [([], 0.0)], []
    for index in range(length):
        logs = oracle.all_next([[*prompt, *tokens] for tokens, _ in live])
        totals = np.array([total for _, total in live])[:, np.newaxis] + logs
        width, going = logs.shape[1], []
        for place in np.argsort(-totals, axis=None, kind="stable"):
            row, token = divmod(int(place), width)
            one = ([*live[row][0], token], totals[row, token])
            if token in ends or index + 1 == length:
                finished.append(one)
            else:
                going.append(one)
            if len(going) == beams:
                break
        live = going
    finished.sort(key=lambda one: -one[1] / penalty(len(one[0]), alpha))
    return finished[:beams]


@pytest.mark.parametrize(("beams", "ends", "alpha"), [(2, [], 0), (3, [4], 0), (4, [4, 9], 0.7), (7, [1, 2, 3], 1.0)])
def test_beams_of_a_large_vocabulary(beams, ends, alpha):
    """Without stopping before the longest may be there, the numpy search finds the same."""
    model = language(vocabulary=50, scale=8.0)
    oracle = Oracle(model)
    for prompt in ([3], [7, 7, 20, 1], [49]):
        expected = beam_search(oracle, prompt, 9, beams, ends, alpha)
        rows, logs = model.generate(
            prompt, 9, beams=beams, sequences=beams, end=ends, length_penalty=alpha, return_log_probabilities=True
        )
        assert [row.tolist() for row in rows] == [tokens for tokens, _ in expected]
        np.testing.assert_allclose(logs, [total for _, total in expected], atol=1e-4)
        best = model.generate(prompt, 9, beams=beams, end=ends, length_penalty=alpha)
        assert best.tolist() == expected[0][0]


def test_beams_find_more_than_greed():
    """The most probable sequence of a few is not the one of the most probable tokens."""
    better = 0
    for seed in range(12):
        model = language(seed=seed, scale=8.0)
        _, (one,) = model.generate(PROMPT, 6, temperature=0, return_log_probabilities=True)
        _, (best,) = model.generate(PROMPT, 6, beams=40, return_log_probabilities=True)
        assert best > one - 1e-4
        better += best > one + 1e-3
    assert better > 0


def test_fewer_sequences_than_asked_for():
    model = language(vocabulary=3)
    rows, logs = model.generate([1], 1, beams=10, sequences=10, return_log_probabilities=True)
    assert [len(row) for row in rows] == [1] * 3 + [0] * 7
    assert np.isfinite(logs[:3]).all() and (logs[3:] == -np.inf).all()
    assert np.array_equal(model.generate([1], 4, beams=5), model.generate([1], 4, beams=5, threads=2))
