"""Streams: the bits of predict, their state, and their errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm
from lstm import UnsupportedError
from lstm.layers import GRU, LSTM, Activation, Bidirectional, Dense, Dropout, Embedding, Normalize, Text

MODEL = lstm.Sequential(
    [LSTM(5, return_sequences=True, input_shape=(None, 3)), Dropout(0.3), LSTM(4), Dense(2)], seed=3
)
X = np.random.default_rng(2).normal(size=(11, 3)).astype(np.float32)
WHOLE = np.concatenate([MODEL.predict(X[np.newaxis, : t + 1]) for t in range(len(X))])


def test_steps_have_the_bits_of_predict():
    stream = MODEL.stream()
    assert (stream.inputs, stream.outputs) == (3, 2)
    assert np.array_equal([stream.step(x) for x in X], WHOLE)
    assert repr(stream) == "<Stream: 3 numbers in, 2 out>"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=8), st.booleans())
def test_blocks_of_any_size(sizes, moves):
    """Blocks and single steps in any mixture, with or without moving the state to another stream in between."""
    stream, done = MODEL.stream(), 0
    for size in sizes:
        block = X[done : done + size]
        y = stream.process(block) if size != 1 else stream.step(block[0])[np.newaxis] if len(block) else block[:, :2]
        assert np.array_equal(y, WHOLE[done : done + size])
        done += len(block)
        if moves:
            state, stream = stream.state, MODEL.stream()
            stream.state = state


def test_out_is_filled_and_returned():
    with MODEL.stream() as stream:
        rows = np.full((11, 2), np.nan, np.float32)
        assert stream.step(X[0], rows[0]).base is rows
        assert np.array_equal(stream.process(X[1:], out=rows[1:]), WHOLE[1:])
        assert np.array_equal(rows, WHOLE)
    with MODEL.stream() as stream:
        kept = stream.step(X[0])
        stream.step(X[1])
        assert np.array_equal(kept, WHOLE[0])  # a new array each time


def test_a_block_in_place():
    square = lstm.Sequential([LSTM(3, return_sequences=True, input_shape=(None, 3))], seed=5)
    block = X.copy()
    expected = square.stream().process(X)
    assert square.stream().process(block, out=block) is block
    assert np.array_equal(block, expected)
    block.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a contiguous"):
        square.stream().process(X, out=block)
    assert np.array_equal(block, expected)


def test_the_own_arrays_of_a_stream():
    stream, answers = MODEL.stream(), []
    for row in X:
        stream.x[:] = row
        assert stream.step(stream.x, stream.y) is stream.y
        answers.append(stream.y.copy())
    assert np.array_equal(answers, WHOLE)


def test_what_a_step_takes():
    for form in (X[0].astype(float), X[0].tolist(), X[:1], np.repeat(X[0], 2)[::2]):
        assert np.array_equal(MODEL.stream().step(form), WHOLE[0])
    assert np.array_equal(MODEL.stream().process(X.astype(float).tolist()), WHOLE)
    assert np.array_equal(MODEL.stream().process(np.asfortranarray(X)), WHOLE)
    assert MODEL.stream().process(X[:0]).shape == (0, 2)


def test_reset():
    stream = MODEL.stream()
    stream.process(X)
    stream.reset()
    assert np.array_equal(stream.process(X), WHOLE)


def test_tokens():
    layers = [Text(vocabulary=["a", "b", "c"]), Embedding(5, 3), LSTM(4), Dense(1)]
    model = lstm.Sequential(layers, seed=1)
    stream = model.stream()
    assert stream.inputs == 1
    assert np.array_equal([stream.step(token) for token in (2, 3, 4)][-1], model.predict(["a b c"])[0])
    stream.reset()
    assert np.array_equal(stream.process([2, 3, 4])[-1], model.predict(["a b c"])[0])
    for wrong in (5, -1, 0.5):
        with pytest.raises(ValueError, match=str(wrong)):
            stream.step(wrong)
    stream.reset()
    before = stream.state
    with pytest.raises(ValueError, match="9"):
        stream.process([2, 9])
    assert np.array_equal(stream.state, before)  # no step was made


def test_every_layer_streams(rng):
    x = rng.normal(size=(1, 6, 2)).astype(np.float32)
    layers = [Normalize(), Dense(4, "relu"), LSTM(3, return_sequences=True), Activation("softmax")]
    layers += [GRU(3, return_sequences=True), GRU(4, reset_after=False, return_sequences=True), Dense(2, "gelu")]
    model = lstm.Sequential(layers)
    model.adapt(x)
    assert np.array_equal(model.stream().process(x[0]), model.predict(x)[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.step(X[0, :2]), ValueError, r"x: expected 3 numbers.*\(2,\)"),
        (lambda s: s.step(X[:2]), ValueError, r"x: expected 3 numbers.*\(2, 3\)"),
        (lambda s: s.step(["a", "b", "c"]), ValueError, "could not convert"),
        (lambda s: s.step(X[0], np.zeros(3, np.float32)), ValueError, r"out: expected shape \(2,\), got \(3,\)"),
        (lambda s: s.process(X[0]), ValueError, r"x: expected shape \(steps, 3\), got \(3,\)"),
        (lambda s: s.process(X[:, :2]), ValueError, r"x: expected shape \(steps, 3\), got \(11, 2\)"),
        (lambda s: s.process(X, np.zeros((11, 2))), ValueError, "out: expected a contiguous float32.*float64"),
        (lambda s: s.process(X, np.zeros((10, 2), np.float32)), ValueError, r"out: .*\(11, 2\).*\(10, 2\)"),
        (lambda s: s.process(X, np.zeros((2, 11), np.float32).T), ValueError, "out: expected a contiguous"),
        (lambda s: setattr(s, "state", [1, 2]), ValueError, "2"),
    ],
)
def test_bad_input(call, error, message):
    stream = MODEL.stream()
    stream.step(X[0])
    before = stream.state
    with pytest.raises(error, match=message):
        call(stream)
    assert np.array_equal(stream.state, before)


def test_closed_and_unsupported():
    stream = MODEL.stream()
    stream.close()
    stream.close()
    for call in (lambda: stream.step(X[0]), lambda: stream.process(X), stream.reset, lambda: stream.state):
        with pytest.raises(ValueError, match="stream"):
            call()
    backwards = lstm.Sequential([LSTM(2, go_backwards=True, input_shape=(None, 3))])
    with pytest.raises(UnsupportedError, match="go_backwards"):
        backwards.stream()
    with pytest.raises(UnsupportedError, match="bidirectional"):
        lstm.Sequential([Bidirectional(GRU(2), input_shape=(None, 3))]).stream()


def test_threads_of_a_stream():
    for threads in (0, 2, 3, 1):
        with MODEL.stream() as stream:
            stream.set_threads(threads)
            assert np.array_equal([stream.step(x) for x in X], WHOLE)
            stream.reset()
            assert np.array_equal(stream.process(X), WHOLE)
    for wrong, error in ((-1, ValueError), (2**32, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="threads"):
            MODEL.stream().set_threads(wrong)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_streams_stepped_together(threads):
    """Each in another place of the sequence, with the bits of one alone."""
    streams = [MODEL.stream() for _ in range(7)]
    for place, stream in enumerate(streams):
        stream.process(X[:place])
    for ahead in range(4):
        y = lstm.step_streams(streams, X[ahead : ahead + 7], threads=threads)
        assert np.array_equal(y, WHOLE[ahead : ahead + 7])
    rows = np.full((3, 2), np.nan, np.float32)
    assert lstm.step_streams(streams[:3], X[4:7].tolist(), rows) is rows
    assert np.array_equal(rows, WHOLE[4:7])
    assert [len(stream.state) for stream in streams] == [len(streams[0].state)] * 7


def test_many_streams_stepped_together(rng):
    """More rows than any kernel takes at once, of a model as wide as its panels and more."""
    model = lstm.Sequential([GRU(40, return_sequences=True, input_shape=(None, 9)), LSTM(33), Dense(2)], seed=4)
    x = rng.normal(size=(53, 4, 9)).astype(np.float32)
    streams = [model.stream() for _ in x]
    for t in range(4):
        together = lstm.step_streams(streams, x[:, t])
    assert np.array_equal(together, model.predict(x))


def test_tokens_stepped_together():
    model = lstm.Sequential([Embedding(5, 3), LSTM(4)], seed=1)
    streams = [model.stream() for _ in range(3)]
    assert np.array_equal(lstm.step_streams(streams, [2, 3, 4]), model.predict([[2], [3], [4]]))
    before = [stream.state for stream in streams]
    with pytest.raises(ValueError, match="7"):
        lstm.step_streams(streams, [1, 7, 1])
    assert np.array_equal([stream.state for stream in streams], before)  # none made a step


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda a, b: ([], X[:0]), ValueError, "streams: expected one at least"),
        (lambda a, b: ([a, MODEL], X[:2]), TypeError, "streams: expected Stream objects, got Sequential"),
        (lambda a, b: ([a, a], X[:2]), ValueError, "streams"),
        (lambda a, b: ([a, lstm.Sequential([LSTM(2, input_shape=(None, 3))]).stream()], X[:2]), ValueError, "streams"),
        (lambda a, b: ([a, b], X[:3]), ValueError, r"x: expected shape \(2, 3\), got \(3, 3\)"),
        (lambda a, b: ([a, b], X[:2], np.zeros((3, 2), np.float32)), ValueError, r"out: .*\(2, 2\).*\(3, 2\)"),
        (lambda a, b: ([a, b], X[:2], None, -1), ValueError, "threads"),
    ],
)
def test_bad_input_to_streams_together(arguments, error, message):
    streams = [MODEL.stream(), MODEL.stream()]
    before = streams[0].state
    with pytest.raises(error, match=message):
        lstm.step_streams(*arguments(*streams))
    assert all(np.array_equal(stream.state, before) for stream in streams)


def test_a_stream_outlives_its_model():
    model = lstm.Sequential([LSTM(3, input_shape=(None, 3))], seed=5)
    expected = model.predict(X[np.newaxis])[0]
    stream = model.stream()
    del model
    assert np.array_equal(stream.process(X)[-1], expected)
