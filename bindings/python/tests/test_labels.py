"""Sequence labelling: the loss of label sequences, and decoding."""

import itertools

import numpy as np
import pytest

import lstm
from lstm import UnsupportedError, losses, metrics
from lstm.layers import CRF, LSTM, Dense


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def collapsed(path, blank=0):
    return tuple(label for i, label in enumerate(path) if label != blank and (i == 0 or label != path[i - 1]))


def all_labellings(p, blank=0):
    """{labels: probability} by going through all paths of p [T, classes]."""
    found = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        labels = collapsed(path, blank)
        found[labels] = found.get(labels, 0) + np.prod([p[t, k] for t, k in enumerate(path)])
    return found


def written(labels):
    return tuple(int(label) for label in labels if label >= 0)


def speaker(units=5, **fields):
    model = lstm.Sequential([LSTM(6, return_sequences=True, input_shape=(None, 3)), Dense(units, **fields)], seed=2)
    model.compile("adam", losses.CTC(), ["edit_distance"])
    return model


@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_is_exact(rng, blank):
    logits = rng.normal(size=(4, 5, 3)).astype(np.float32)
    labels, logarithms = lstm.ctc_decode(logits, None, "beam_search", 1000, 6, mask_index=blank)
    assert labels.shape == (6, 4, 5) and logarithms.shape == (4, 6)
    for row in range(4):
        truth = sorted(all_labellings(softmax(logits[row].astype(float)), blank).items(), key=lambda item: -item[1])
        for place, (expected, probability) in enumerate(truth[:6]):
            assert written(labels[place, row]) == expected
            assert logarithms[row, place] == pytest.approx(np.log(probability), abs=1e-6)


def test_a_narrow_beam_says_no_more_than_there_is(rng):
    p = softmax(2 * rng.normal(size=(20, 6, 4))).astype(np.float32)
    labels, logarithms = lstm.ctc_decode(p, None, "beam_search", 3, 3, from_logits=False)
    for row in range(20):
        truth = all_labellings(p[row].astype(float) / p[row].astype(float).sum(-1, keepdims=True))
        assert (np.diff(logarithms[row]) <= 0).all()
        for place in range(3):
            assert np.exp(logarithms[row, place]) <= truth[written(labels[place, row])] * (1 + 1e-6)


def test_greedy_is_the_best_path(rng):
    logits = rng.normal(size=(7, 9, 4)).astype(np.float32)
    lengths = np.array([9, 1, 0, 4, 9, 3, 2])
    labels, logarithms = lstm.ctc_decode(logits, lengths)
    for row, length in enumerate(lengths):
        best = logits[row, :length].argmax(-1)
        assert written(labels[0, row]) == collapsed(best)
        expected = np.log(softmax(logits[row, :length].astype(float))).max(-1).sum() if length else 0
        assert logarithms[row, 0] == pytest.approx(expected, abs=1e-9)


def test_padding_is_as_if_it_were_not_there(rng):
    logits = rng.normal(size=(3, 8, 4))
    mask = rng.random((3, 8)) < 0.6
    labels, logarithms = lstm.ctc_decode(np.where(mask[..., None], logits, np.nan), mask=mask, strategy="beam_search")
    for row in range(3):
        alone = lstm.ctc_decode(logits[row : row + 1, mask[row]], strategy="beam_search")
        assert written(labels[0, row]) == written(alone[0][0, 0]) and logarithms[row, 0] == alone[1][0, 0]


def test_there_may_be_fewer_answers_than_asked_for():
    labels, logarithms = lstm.ctc_decode([[[1.0, 2.0]]], None, "beam_search", 5, 4)
    assert labels[:, 0, 0].tolist() == [1, -1, -1, -1] and np.isneginf(logarithms[0, 2:]).all()


@pytest.mark.parametrize("activation", ["linear", "softmax"])
def test_a_model_decodes_its_outputs(rng, activation):
    model = speaker(activation=activation)
    x = [rng.normal(size=(length, 3)) for length in (7, 2, 5, 1)]
    lengths = [len(one) for one in x]
    mine = model.ctc_decode(x, "beam_search", 10, 2)
    theirs = lstm.ctc_decode(model.predict(x), lengths, "beam_search", 10, 2, from_logits=activation == "linear")
    assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])
    mask = np.arange(7) < np.array(lengths)[:, None]
    padded = np.zeros((4, 7, 3))
    for row, one in zip(padded, x):
        row[: len(one)] = one
    assert np.array_equal(model.ctc_decode(padded, "beam_search", 10, 2, mask=mask)[0], mine[0])


def test_labels_may_be_lists_or_padded(rng):
    x = rng.normal(size=(3, 6, 3))
    given = [[[1, 2], [3], []], [[1, 2], [3, 0], [0, 0]], np.array([[1, 2, -1], [3, -1, -1], [-1, -1, -1]])]
    values = [speaker().train_on_batch(x, y) for y in given]
    assert values[0] == values[1] == values[2]


def test_training_reads_and_measures(rng):
    model = speaker()
    model.compile(lstm.optimizers.Adam(0.05), "ctc", [metrics.TokenErrorRate(), "bleu"])
    x = rng.normal(size=(8, 12, 3))
    y = [rng.integers(1, 5, rng.integers(1, 5)) for _ in range(8)]
    history = model.fit(x, y, epochs=400, verbose=0).history
    assert history["token_error_rate"][-1] < 0.2 < history["token_error_rate"][0]
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    read = model.ctc_decode(x)[0][0]
    wrong = sum(written(labels) != tuple(truth) for labels, truth in zip(read, y))
    assert wrong <= 4


def test_refusals(rng):
    model, x = speaker(), rng.normal(size=(2, 3, 3))
    for y, expected in [
        ([[1, 5], [1, 2]], r"y\[0, 1\].*5"),
        ([[1, 1, 2], [1, 2, 3]], r"y\[0\].*3 timesteps.*zero_infinity"),
        ([[0, 1], [1, 2]], r"y\[0, 1\].*padding"),
    ]:
        with pytest.raises(ValueError, match=expected):
            model.train_on_batch(x, y)
    model.compile("sgd", losses.CTC(zero_infinity=True))
    assert np.isfinite(model.train_on_batch(x, [[1, 1, 2], [1, 2, 3]]))
    with pytest.raises(ValueError, match="class_weights"):
        model.fit(x, [[1], [2]], class_weight={0: 1, 1: 2}, verbose=0)
    with pytest.raises(ValueError, match="edit_distance"):
        model.compile("sgd", "ctc", ["accuracy"])
    with pytest.raises(ValueError, match="strategy"):
        lstm.ctc_decode(x, strategy="best")
    with pytest.raises(ValueError, match=r"decoding.best.*1.*3"):
        lstm.ctc_decode(x, top_paths=3)
    with pytest.raises(ValueError, match=r"decoding.blank.*2.*3"):
        lstm.ctc_decode(x, mask_index=3)
    with pytest.raises(ValueError, match=r"outputs.shape"):
        lstm.ctc_decode(x[0])
    flat = lstm.Sequential([Dense(2, input_shape=(2,))])
    with pytest.raises(UnsupportedError, match="timestep"):
        flat.ctc_decode([[1.0, 2.0]])


def tagger(**fields):
    model = lstm.Sequential([LSTM(6, return_sequences=True, input_shape=(None, 3)), Dense(4), CRF(4, **fields)], seed=3)
    model.compile(lstm.optimizers.Adam(0.05), "crf", ["accuracy"])
    rng = np.random.default_rng(4)
    for name in ("crf.start", "crf.transitions", "crf.end"):
        model.set_named_weights([name], [rng.normal(size=model.get_weight(name).shape)])
    return model


def emissions_of(model, x, **given):
    """What goes into the CRF."""
    shorter = lstm.Sequential([LSTM(6, return_sequences=True, input_shape=(None, 3)), Dense(4)])
    shorter.compile("sgd", "mse")
    shorter.predict(np.zeros((1, 1, 3)))
    shorter.set_weights(model.get_weights()[:5])
    return shorter.predict(x, **given).astype(float)


def all_taggings(model, emissions):
    """{tags: score} of one row of emissions [T, tags]."""
    start, transitions, end = (
        model.get_weight(f"crf.{kind}").astype(float) for kind in ("start", "transitions", "end")
    )
    scores = {}
    for tags in itertools.product(range(emissions.shape[1]), repeat=len(emissions)):
        score = start[tags[0]] + end[tags[-1]] + sum(emissions[t, tag] for t, tag in enumerate(tags))
        scores[tags] = score + sum(transitions[a, b] for a, b in itertools.pairwise(tags))
    return scores


def test_tags_are_those_of_the_best_scores(rng):
    model = tagger()
    x, lengths = rng.normal(size=(3, 4, 3)), np.array([4, 1, 3])
    emissions = emissions_of(model, x)
    tags, logarithms = model.crf_decode(x, 5, lengths=lengths)
    assert tags.shape == (5, 3, 4)
    predicted = model.predict(x, lengths=lengths)
    loss = 0.0
    y = rng.integers(0, 4, (3, 4))
    for row, length in enumerate(lengths):
        scores = all_taggings(model, emissions[row, :length])
        whole = np.log(np.sum(np.exp(list(scores.values()))))
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        for rank in range(5):
            if rank >= len(ranked):
                assert (tags[rank, row] == -1).all() and np.isneginf(logarithms[row, rank])
                continue
            assert tuple(tags[rank, row, :length]) == ranked[rank][0] and (tags[rank, row, length:] == -1).all()
            assert logarithms[row, rank] == pytest.approx(ranked[rank][1] - whole, abs=1e-5)
        assert predicted[row, :length].argmax(-1).tolist() == list(ranked[0][0])
        assert (predicted[row, :length].sum(-1) == 1).all()
        loss += whole - scores[tuple(y[row, :length])]
    assert model.evaluate(x, y, lengths=lengths, verbose=0)[0] == pytest.approx(loss / 3, rel=1e-6)


def test_probabilities_of_tags(rng):
    model = tagger(output="probabilities")
    x = rng.normal(size=(2, 4, 3))
    emissions, p = emissions_of(model, x), model.predict(x)
    for row in range(2):
        scores = all_taggings(model, emissions[row])
        shares = np.exp(list(scores.values()))
        shares /= shares.sum()
        expected = np.zeros((4, 4))
        for tags, share in zip(scores, shares):
            expected[np.arange(4), tags] += share
        assert np.allclose(p[row], expected, atol=1e-6)


def test_a_mask_may_have_gaps(rng):
    model = lstm.Sequential([Dense(4, input_shape=(None, 3)), CRF(4)], seed=2)
    model.compile("sgd", "crf")
    x, mask = rng.normal(size=(2, 7, 3)), np.array([[1, 0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 1, 0, 0]], bool)
    tags, logarithms = model.crf_decode(x, 2, mask=mask)
    for row in range(2):
        alone, alone_logarithms = model.crf_decode(x[row : row + 1, mask[row]], 2)
        assert np.array_equal(tags[:, row, mask[row]], alone[:, 0]) and (tags[:, row, ~mask[row]] == -1).all()
        assert np.array_equal(logarithms[row], alone_logarithms[0])


def test_tags_are_learned(rng):
    x, y = rng.normal(size=(6, 5, 3)), rng.integers(0, 4, (6, 5))
    model = tagger()
    history = model.fit(x, y, epochs=150, verbose=0).history
    assert history["accuracy"][-1] > 0.9 > history["accuracy"][0]
    assert (model.confusion_matrix(x, y).sum()) == 30
    assert model.evaluate(x, y, verbose=0)[1] == np.mean(model.predict(x).argmax(-1) == y)
    again = lstm.from_bytes(model.to_bytes())
    assert np.array_equal(again.predict(x), model.predict(x))


def test_where_a_crf_may_stand():
    dense, crf = Dense(4, input_shape=(None, 3)), CRF(4)
    with pytest.raises(ValueError, match=r"training.loss.*crf"):
        lstm.Sequential([dense, crf]).compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"training.loss.*crf"):
        lstm.Sequential([dense]).compile("sgd", "crf")
    with pytest.raises(ValueError, match="last"):
        lstm.Sequential([dense, crf, Dense(2)]).compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"layers\[1\].*4 tags"):
        lstm.Sequential([Dense(3, input_shape=(None, 3)), crf]).compile("sgd", "crf")
    with pytest.raises(UnsupportedError, match="crf"):
        tagger().stream()
    with pytest.raises(UnsupportedError, match="CRF"):
        speaker().crf_decode(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match=r"decoding.best"):
        tagger().crf_decode(np.zeros((1, 2, 3)), 2**30)
