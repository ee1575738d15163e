"""Drawn tokens have the distribution that the papers say, and end where they should, against numpy in float64."""

import numpy as np
import pytest
from language import MODEL, ORACLE, PROMPT, VOCABULARY, Oracle, greedy, language


def shares(log_probabilities, temperature=1.0, top_k=None, top_p=1.0, penalty=1.0, seen=(), left_out=()):
    """The distribution of a token, from the papers: what is left, and its probabilities."""
    scores = np.array(log_probabilities, np.float64)
    for token in seen:
        scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
    scores[list(left_out)] = -np.inf
    scores /= temperature
    ranked = sorted(range(len(scores)), key=lambda token: -scores[token])[:top_k]
    p = np.exp(scores[ranked] - scores.max())
    p /= p.sum()
    kept = int(np.searchsorted(np.cumsum(p), top_p - 1e-12)) + 1
    result = np.zeros(len(scores))
    result[ranked[:kept]] = p[:kept] / p[:kept].sum()
    return result


def chi_square(counts, expected):
    """The statistic and the limit that chance passes once in some millions, of tokens that may come."""
    may = expected > 0
    assert counts[~may].sum() == 0
    statistic = ((counts[may] - expected[may]) ** 2 / expected[may]).sum()
    freedom = may.sum() - 1
    return statistic, freedom + 5.5 * np.sqrt(2 * freedom) + 14


DRAWN = 16384


def draw(model, prompt, seed, **options):
    rows = [
        np.array(model.generate(prompt, 1, sequences=4096, seed=4 * seed + part, **options)).reshape(-1)
        for part in range(DRAWN // 4096)
    ]
    return np.concatenate(rows)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 3},
        {"top_k": 99},
        {"top_p": 0.8},
        {"top_p": 0.4, "temperature": 1.7},
        {"top_k": 4, "top_p": 0.75, "temperature": 1.3},
    ],
    ids=str,
)
def test_drawn_tokens_have_the_distribution(options):
    model = language(scale=20.0)
    expected = shares(Oracle(model).next(PROMPT), **options)
    assert (expected > 0).sum() > 1
    tokens = draw(model, PROMPT, 1, **options)
    counts = np.bincount(tokens, minlength=VOCABULARY)
    statistic, limit = chi_square(counts, expected * DRAWN)
    assert statistic < limit
    # The test would see another distribution, and that the numbers of the sequences are not one.
    other = shares(Oracle(model).next(PROMPT), **{**options, "temperature": options.get("temperature", 1) * 3})
    if set(np.flatnonzero(other)) >= set(np.flatnonzero(counts)):
        assert chi_square(counts, other * DRAWN)[0] > limit
    pairs = np.bincount(tokens[:-1] * VOCABULARY + tokens[1:], minlength=VOCABULARY**2)
    statistic, limit = chi_square(pairs, np.outer(expected, expected).reshape(-1) * (DRAWN - 1))
    assert statistic < limit


def test_drawn_pairs_have_the_distribution():
    """The second token given the first, so that each is fed back into its own sequence."""
    model = language(vocabulary=3, scale=10.0)
    oracle = Oracle(model)
    rows = np.concatenate([model.generate([2], 2, sequences=4096, seed=seed) for seed in range(4)])
    first = np.exp(oracle.next([2]))
    expected = np.array([first[a] * np.exp(oracle.next([2, a])[b]) for a in range(3) for b in range(3)])
    counts = np.bincount(rows[:, 0] * 3 + rows[:, 1], minlength=9)
    statistic, limit = chi_square(counts, expected * len(rows))
    assert statistic < limit


def test_repetition_penalty():
    """Of tokens that stand in the prompt, and of those drawn since."""
    model = language(softmax=False, scale=10.0)
    logits = model.predict(np.array([PROMPT]))[0].astype(np.float64)
    expected = shares(logits, penalty=3.0, seen=set(PROMPT))
    assert np.abs(expected - shares(logits)).max() > 0.05
    counts = np.bincount(draw(model, PROMPT, 3, repetition_penalty=3.0), minlength=VOCABULARY)
    statistic, limit = chi_square(counts, expected * DRAWN)
    assert statistic < limit
    tokens = model.generate([0], VOCABULARY - 1, repetition_penalty=1e6, temperature=0)
    seen = [0]
    for token in tokens:
        logits = model.predict(np.array([seen]))[0].astype(np.float64)
        seen_now = sorted(set(seen))
        logits[seen_now] = np.where(logits[seen_now] > 0, logits[seen_now] / 1e6, logits[seen_now] * 1e6)
        assert token == np.argmax(logits)
        seen.append(int(token))


def test_many_tokens_and_a_large_vocabulary():
    """Every token that comes is one of those that may come at its place."""
    model = language(vocabulary=300, scale=12.0)
    oracle = Oracle(model)
    options = {"temperature": 1.2, "top_k": 40, "top_p": 0.9}
    for seed in range(3):
        tokens, (total,) = model.generate([7], 40, seed=seed, return_log_probabilities=True, **options)
        history, expected = [7], 0.0
        for token in tokens:
            logs = oracle.next(history)
            assert shares(logs, **{**options, "top_p": options["top_p"] + 1e-6})[token] > 0
            expected += logs[token]
            history.append(int(token))
        assert abs(total - expected) < 1e-3
        assert len(set(tokens)) > 10


# Ends


def test_end_tokens():
    whole = MODEL.generate(PROMPT, 60, seed=3).tolist()
    end = whole[10]
    first = whole.index(end)
    assert MODEL.generate(PROMPT, 60, seed=3, end=end).tolist() == whole[: first + 1]
    assert MODEL.generate(PROMPT, 60, seed=3, end=[end, whole[0]]).tolist() == whole[:1]
    rows = MODEL.generate(PROMPT, 30, seed=3, sequences=8, end=end)
    for row, alone in zip(rows, MODEL.generate(PROMPT, 30, seed=3, sequences=8)):
        length = alone.tolist().index(end) + 1 if end in alone else 30
        assert row.tolist() == alone[:length].tolist()
    assert len({len(row) for row in rows}) > 2


def test_min_length_and_suppress():
    rows = MODEL.generate(PROMPT, 20, sequences=50, end=[0, 1, 2], min_length=7)
    assert min(map(len, rows)) == 8
    assert all(set(row[:7]) <= {3, 4, 5} for row in rows)
    expected, _ = greedy(ORACLE, PROMPT, 12, lambda index, token: token not in (2, 3) and (token != 0 or index >= 7))
    tokens = MODEL.generate(PROMPT, 12, temperature=0, suppress=[3, 2, 3], end=0, min_length=7).tolist()
    assert tokens == expected[: len(tokens)] and (len(tokens) == 12 or tokens[-1] == 0)
    tokens = draw(MODEL, PROMPT, 5, suppress=2)
    statistic, limit = chi_square(
        np.bincount(tokens, minlength=VOCABULARY), DRAWN * shares(ORACLE.next(PROMPT), left_out=[2])
    )
    assert statistic < limit


def test_padding_never_comes_unless_it_ends():
    model = language(mask_zero=True)
    assert all((row > 0).all() for row in model.generate(PROMPT, 30, sequences=20))
    rows = model.generate(PROMPT, 200, sequences=20, end=0)
    assert any(row[-1] == 0 for row in rows)
