"""Tokens as text and back, and what is written on from a text."""

import numpy as np
import pytest
from language import MODEL

import lstm
from lstm import UnsupportedError
from lstm.layers import GRU, LSTM, Dense, Embedding, Text

WORDS = ["the", "film", "is", "good", ".", ",", "(", ")", "it's", "so", "-", "映", "画"]


@pytest.fixture(scope="module")
def writer():
    layers = [Text(vocabulary=WORDS), Embedding(20, 6), LSTM(9, return_sequences=True), Dense(20, activation="softmax")]
    return lstm.Sequential(layers, seed=3)


@pytest.fixture(scope="module")
def speller():
    layers = [Text(level="character", lower=False, vocabulary=list("abcé \n")), Embedding(8, 6), GRU(9), Dense(8)]
    return lstm.Sequential(layers, seed=3)


def test_tokens_of_a_text(writer, speller):
    assert writer.tokenize("The film, it's SO odd.").tolist() == [2, 3, 7, 10, 11, 1, 6]
    assert writer.tokenize("").tolist() == []
    assert speller.tokenize("bé\nA").tolist() == [3, 5, 7, 1]
    for model in (writer, speller):
        assert model.tokenize("a film").dtype == np.int32


def test_text_of_tokens(writer, speller):
    text = "the film (so - so), it's good."
    assert writer.detokenize(writer.tokenize(text)) == "the film (so-so), it's good."
    assert writer.detokenize([2, 13, 14, 3]) == "the映画film"
    assert writer.detokenize([2, 0, 1, 0, 6, 0]) == "the \ufffd."
    assert writer.detokenize([]) == "" and writer.detokenize([0]) == ""
    assert speller.detokenize(speller.tokenize("é a\ncab")) == "é a\ncab"
    for token in range(2, 15):
        assert writer.detokenize([token]) == WORDS[token - 2]


@pytest.mark.parametrize("name", ["writer", "speller"])
@pytest.mark.parametrize("prompt", ["the film", "a b"])
def test_text_goes_on_from_the_prompt(name, prompt, request):
    model = request.getfixturevalue(name)
    before = model.tokenize(prompt)
    tokens = model.generate(before, 40, seed=2, suppress=1)
    text = model.generate(prompt, 40, seed=2, suppress=1)
    assert model.detokenize(before) + text == model.detokenize(np.concatenate([before, tokens]))
    known = len(WORDS) + 2 if name == "writer" else 8
    assert tokens.min() >= 2 and tokens.max() < known and len(set(tokens)) > 3
    pieces, heard = list(model.generate_stream(prompt, 40, seed=2, suppress=1)), []
    assert "".join(pieces) == text and len(pieces) == 40
    model.generate(prompt, 40, seed=2, suppress=1, callback=lambda piece, log, sequence: heard.append(piece))
    assert heard == pieces
    rows = model.generate(prompt, 5, beams=4, sequences=3)
    assert len(set(rows)) == 3 and all(isinstance(row, str) for row in rows)


def test_ends_and_what_is_left_out_as_text(writer, speller):
    text = writer.generate("the film", 200, end=".", suppress=["good", "so", 1], seed=1)
    assert text.endswith(".") and text.count(".") == 1 and "good" not in text and " so" not in text
    text = speller.generate("ab", 300, end=["\n"], seed=1)
    assert text.endswith("\n") and text.count("\n") == 1
    with pytest.raises(ValueError, match="end: expected strings of one token, got 'ab' of 2"):
        speller.generate("ab", end="ab")


def test_a_trained_model_writes_what_it_read():
    """A cycle is learned by heart, and written on from any of its places."""
    layers = [Text(level="character"), Embedding(10, 8), LSTM(24, return_sequences=True), Dense(10)]
    model = lstm.Sequential(layers, seed=1)
    model.adapt(["abcabd"])
    text = "abcabd" * 9
    tokens = model.tokenize(text)
    ahead = lstm.Sequential([Embedding(10, 8), LSTM(24, return_sequences=True), Dense(10)], seed=1)
    loss = lstm.losses.SparseCategoricalCrossentropy(from_logits=True)
    ahead.compile(lstm.optimizers.Adam(0.02), loss)
    ahead.fit(tokens[np.newaxis, :-1], tokens[np.newaxis, 1:], epochs=150, verbose=0)
    model.set_weights(ahead.get_weights())
    assert model.generate("abcab", 13, temperature=0) == "dabcabdabcabd"
    assert model.generate("abcab", 13, beams=3) == "dabcabdabcabd"


def test_text_refusals(writer):
    for call, error, message in [
        (lambda: MODEL.tokenize("a"), UnsupportedError, "text layer"),
        (lambda: MODEL.detokenize([1]), UnsupportedError, "text layer"),
        (lambda: writer.tokenize(3), TypeError, "text: expected a string"),
        (lambda: writer.tokenize("a\0b"), ValueError, "zero characters"),
        (lambda: writer.detokenize([2, 15]), ValueError, r"tokens\[1\]: expected a token from 0 to 14, got 15"),
        (lambda: writer.detokenize([-1]), ValueError, "tokens: .*-1"),
        (lambda: writer.detokenize([[2]]), ValueError, "tokens: expected one axis"),
        (lambda: writer.detokenize([0.5]), TypeError, "tokens: expected integers"),
        (lambda: writer.generate("", 3), ValueError, "prompt.*at least one token"),
        (lambda: lstm.Sequential([Text(), Embedding(5, 2), Dense(5)]).generate("a", 3), ValueError, "adapt"),
    ]:
        with pytest.raises(error, match=message):
            call()
