"""Arrays of every type, stride and origin: the same bits as the plain array that C reads, or a clear error."""

import re

import numpy as np
import pytest
from conftest import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm
from lstm import UnsupportedError
from lstm.layers import LSTM, Dense, Embedding, Text

MODEL = lstm.Sequential([LSTM(4, input_shape=(None, 3)), Dense(2)], seed=5)
TOKENS = lstm.Sequential([Embedding(300, 3), LSTM(4), Dense(1)], seed=5)
WORDS = lstm.Sequential([Text(vocabulary=["a", "b", "ä"], length=4), Embedding(5, 3), LSTM(4), Dense(1)])


def test_matches_the_equations(rng):
    x = rng.normal(size=(7, 6, 3)).astype(np.float32)
    assert np.allclose(MODEL.predict(x), reference(MODEL.get_weights(), x), atol=2e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    axes=st.permutations([0, 1, 2]),
    steps=st.tuples(*[st.sampled_from([1, 2, -1, -3])] * 3),
    offset=st.integers(0, 7),
    dtype=st.sampled_from(["f4", "f8", "i4", "i8", "u1"]),
)
def test_any_stride_and_alignment(axes, steps, offset, dtype):
    """Views with strides of any size and sign, over memory of any alignment, give the bits of their plain copy."""
    shape = [[5, 4, 3][axes.index(axis)] * abs(steps[axes.index(axis)]) for axis in range(3)]
    count = int(np.prod(shape))
    memory = np.zeros(count * np.dtype(dtype).itemsize + 8, np.uint8)
    base = memory[offset : offset + count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    base[...] = np.random.default_rng(1).integers(0, 5, shape)
    view = base.transpose(axes)[tuple(slice(None, None, step) for step in steps)]
    assert view.shape == (5, 4, 3)
    assert MODEL.predict(view).tobytes() == MODEL.predict(view.astype(np.float32, order="C", copy=True)).tobytes()


def test_broadcast_views(rng):
    row = rng.normal(size=(1, 4, 3)).astype(np.float32)
    many = np.broadcast_to(row, (6, 4, 3))
    assert np.array_equal(MODEL.predict(many), np.repeat(MODEL.predict(row), 6, axis=0))


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">f4", ">f8", ">i2", ">i8"]
)
def test_every_number_type(dtype):
    plain = np.random.default_rng(1).integers(0, 2, (5, 4, 3))
    assert np.array_equal(MODEL.predict(plain.astype(dtype)), MODEL.predict(plain.astype(np.float32)))


def test_lists_and_objects():
    plain = np.random.default_rng(1).integers(0, 100, (5, 4, 3))
    expected = MODEL.predict(plain)
    assert np.array_equal(MODEL.predict(plain.tolist()), expected)
    assert np.array_equal(MODEL.predict(plain.astype(object)), expected)
    assert np.array_equal(MODEL.predict(memoryview(plain.astype(np.float64))), expected)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "u8", "f4", "f8"])
def test_tokens_of_every_type(dtype):
    tokens = np.random.default_rng(1).integers(0, 100, (5, 4))
    assert np.array_equal(TOKENS.predict(tokens.astype(dtype)), TOKENS.predict(tokens))


def test_float64_is_read_as_it_is():
    """A number that float32 rounds away from an integer is still seen by the check of tokens."""
    with pytest.raises(ValueError, match=r"x\b.*1\.0000000"):
        TOKENS.predict(np.full((1, 2), 1 + 1e-9))


def test_strings_in_all_forms():
    texts = ["a b", "ä a", "", "b b b b b"]
    expected = WORDS.predict(texts)
    for form in (
        tuple(texts),
        np.array(texts),
        np.array(texts, object),
        np.array([text.encode() for text in texts], object),
        [np.str_(text) for text in texts],
    ):
        assert np.array_equal(WORDS.predict(form), expected)
    assert np.array_equal(WORDS.predict(np.array(texts)[::-1]), expected[::-1])
    assert np.array_equal(WORDS.predict(np.array([b"a b", b"b"])), WORDS.predict(["a b", "b"]))
    for nothing in ([], (), np.array([], "U1")):
        assert WORDS.predict(nothing).shape == (0, 1)


def ragged(rng, lengths, tail=(3,)):
    return [rng.normal(size=(length, *tail)).astype(np.float32) for length in lengths]


def test_sequences_of_different_length(rng):
    lengths = [3, 0, 5, 1]
    rows = ragged(rng, lengths)
    padded = np.full((4, 5, 3), np.nan, np.float32)
    for row, into in zip(rows, padded):
        into[: len(row)] = row
    valid = np.arange(5) < np.array(lengths)[:, np.newaxis]
    empty = MODEL.predict(np.zeros((1, 1, 3)), lengths=[0])
    one_by_one = np.concatenate([MODEL.predict(row[np.newaxis]) if len(row) else empty for row in rows])
    for result in (
        MODEL.predict(rows),
        MODEL.predict(padded, lengths=lengths),
        MODEL.predict(padded, lengths=np.array(lengths, np.uint8)),
        MODEL.predict(padded, mask=valid),
        MODEL.predict(padded, mask=valid.astype(float)),
        MODEL.predict(np.array([*rows, None], object)[:4]),
        MODEL(padded, mask=valid),
    ):
        assert result.tobytes() == one_by_one.tobytes()
    assert np.allclose(one_by_one, reference(MODEL.get_weights(), np.nan_to_num(padded), valid), atol=2e-6, rtol=0)


def test_a_mask_with_gaps(rng):
    x, valid = rng.normal(size=(6, 5, 3)).astype(np.float32), rng.random((6, 5)) < 0.5
    assert np.allclose(MODEL.predict(x, mask=valid), reference(MODEL.get_weights(), x, valid), atol=2e-6, rtol=0)
    assert np.array_equal(MODEL.predict(x, mask=np.asfortranarray(valid)), MODEL.predict(x, mask=valid))


def test_token_lists_of_different_length():
    assert np.array_equal(
        TOKENS.predict([[1, 2, 3], [], [7]]), TOKENS.predict([[1, 2, 3], [0] * 3, [7, 0, 0]], lengths=[3, 0, 1])
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MODEL.predict(None), TypeError, "x: expected an array of numbers or strings, got NoneType"),
        (lambda: MODEL.predict("text"), TypeError, "x: expected an array of numbers or strings, got str"),
        (lambda: MODEL.predict({"a": 1}), TypeError, "x: expected an array of numbers or strings, got dict"),
        (lambda: MODEL.predict(1.5), TypeError, "x: expected an array of numbers or strings, got float"),
        (lambda: MODEL.predict(np.zeros((1,) * 9)), ValueError, "x: expected at most 8 axes"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3), complex)), TypeError, "x: .* elements of type complex128"),
        (lambda: MODEL.predict(np.zeros(2, "M8[s]")), TypeError, r"x: .* elements of type datetime64\[s\]"),
        (lambda: MODEL.predict(["a", "b"]), TypeError, r"\bx\b"),
        (lambda: WORDS.predict([[1, 2]]), TypeError, r"\bx\b"),
        (lambda: WORDS.predict(["a", 5]), TypeError, r"x\[1\]: expected a string, got int 5"),
        (lambda: WORDS.predict([5, "a"]), TypeError, r"x\[0\]: expected a string, got int 5"),
        (lambda: WORDS.predict(np.array(["a", None], object)), TypeError, r"x\[1\]: expected a string, got NoneType"),
        (lambda: WORDS.predict(["a", "b\0c"]), ValueError, r"x\[1\]: expected a string without zero"),
        (lambda: WORDS.predict(["\ud800"]), ValueError, "surrogates"),
        (lambda: MODEL.predict(np.zeros((2, 4, 5))), ValueError, r"\bx\b.*5"),
        (lambda: MODEL.predict(np.zeros((2, 4))), ValueError, r"\bx\b.*2"),
        (lambda: TOKENS.predict([[1, 300]]), ValueError, r"\bx\b.*300"),
        (lambda: TOKENS.predict([[1, -1]]), ValueError, r"\bx\b.*-1"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), lengths=[4]), ValueError, r"lengths: .*\(2,\).*\(1,\)"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), lengths=[4, 5]), ValueError, "lengths.*5"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), lengths=[4, -1]), ValueError, "lengths.*-1"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), lengths=[1.0, 2.0]), TypeError, "lengths: .*float64"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), mask=np.ones((2, 3))), ValueError, r"mask: .*\(2, 4\).*\(2, 3\)"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), mask=[["a"]]), TypeError, "mask"),
        (lambda: MODEL.predict(np.zeros((1, 1, 3)), lengths=[1], mask=[[1]]), ValueError, "lengths, mask"),
        (lambda: MODEL.predict([np.zeros((1, 3)), np.zeros((2, 3))], lengths=[1, 2]), ValueError, "lengths"),
        (lambda: MODEL.predict([np.zeros((1, 3)), np.zeros((2, 3))], mask=[[1]]), ValueError, "mask"),
        (lambda: MODEL.predict([np.zeros((1, 3)), np.zeros((2, 4))]), ValueError, r"x\[1\]: .*\(3,\).*\(4,\)"),
        (lambda: MODEL.predict([[1, 2], ["a"]]), (TypeError, ValueError), "x"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), batch_size=0), ValueError, "batch_size: .*got 0"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), batch_size=2.5), TypeError, "batch_size: .*float 2.5"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), batch_size=2**32), ValueError, "batch_size"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), verbose=3), ValueError, "verbose: .*got 3"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), steps=3), UnsupportedError, "predict: steps must be None.*got 3"),
        (lambda: MODEL.predict(np.zeros((2, 4, 3)), stepz=3), TypeError, "'stepz'"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_row_depends_on_nothing_else(rng):
    x = rng.normal(size=(33, 6, 3)).astype(np.float32)
    whole = MODEL.predict(x)
    for size in (1, 2, 7, 100):
        assert np.array_equal(MODEL.predict(x, batch_size=size), whole)
    assert np.array_equal(MODEL.predict(x[10:11]), whole[10:11])
    assert np.array_equal(MODEL.predict_on_batch(x), whole)


def test_predict_speaks_when_asked(capsys):
    MODEL.predict(np.zeros((2, 4, 3)))
    assert capsys.readouterr().out == ""
    MODEL.predict(np.zeros((2, 4, 3)), verbose=1)
    assert re.fullmatch(r"2 samples  \d+\.\ds\n", capsys.readouterr().out)
