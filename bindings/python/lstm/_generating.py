"""Generation: what a language model writes behind a prompt, as tokens or as text."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from ctypes import byref, c_double, c_int32, c_size_t, sizeof
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from ._arrays import Borrowed, Floats, plain, pointer
from ._handle import Handle
from ._library import check, library, lstm_generate_options, lstm_generator, lstm_token_callback
from ._spec import real, whole
from .streaming import Stream

Tokens = npt.NDArray[np.int32]
# What a call generates: the text of a model that is asked in text, else tokens.
Written = Union[str, Tokens]
# Hears of a token, or its text, its log-probability and the number of its sequence; true to stop.
Listener = Callable[[Union[int, str], float, int], Any]

_MOST = 2**56


class Generating(ABC):
    """The part of a model that generates."""

    @property
    @abstractmethod
    def handle(self) -> Handle:
        """The C model, made where there is none."""

    @abstractmethod
    def stream(self) -> Stream:
        """A Stream, which takes one sequence step by step."""

    def generate(
        self,
        prompt: Any,
        max_length: int = 100,
        *,
        source: Any = None,
        min_length: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        beams: int = 1,
        length_penalty: float = 0.0,
        sequences: int | None = None,
        end: Any = None,
        suppress: Any = None,
        seed: int = 0,
        callback: Listener | None = None,
        return_log_probabilities: bool = False,
        threads: int = 1,
    ) -> Any:
        """What follows the prompt: text for a string, for tokens [T] an array of them; without the prompt itself.

        The model reads tokens and gives at each timestep logits or probabilities (softmax) over them; it must be able
        to stream. An encoder and decoder, `Model([source, target], output)`, writes a target from `source`, one sample
        without the axis of the batch; the prompt is then what targets begin with, as a token for their start. At most
        `max_length` tokens come, or up to one of `end`, which belongs to the sequence but cannot come before
        `min_length` others; none of `suppress` does. Both are a token or a list of tokens, for a model with a Text
        layer also strings of one token each.

        A token is drawn from the distribution at `temperature` (0: always the most probable one) of the `top_k` most
        probable ones, and of these the fewest that have the share `top_p`; `repetition_penalty` above 1 makes tokens
        less probable that were there before. The same `seed` gives the same tokens. With `beams` there is a beam search
        for the most probable sequence instead, compared by log-probability / ((5 + length) / 6) ** length_penalty.

        With `sequences` the result is a list of so many: drawn each for itself, or the best of the beams. With
        `return_log_probabilities` it is a pair of the result and an array of the log-probabilities of the sequences.
        `callback(token, log_probability, sequence)` hears of each token, or its text, when it is there; what is true
        stops. UnsupportedError: the model is no language model. ValueError: an option out of range, a token past the
        vocabulary, an empty prompt.
        """
        asked = _Prompt(self, prompt)
        options, kept = asked.options(
            max_length, min_length, temperature, top_k, top_p, repetition_penalty, end, suppress, seed, threads
        )
        options.sequences = 1 if sequences is None else whole("sequences", sequences)
        options.beams, options.length_penalty = whole("beams", beams), real("length_penalty", length_penalty)
        teller = None if callback is None else _Teller(callback, asked)
        if teller is not None:
            options.token = teller.thunk
        count = c_size_t()
        generate, given = library.lstm_generate, [asked.borrowed]
        if source is not None:
            generate, given = library.lstm_generate_from, [_sample(source), asked.borrowed]
        arguments = (self.handle, *[borrowed.struct for borrowed in given], options)
        check(generate(*arguments, None, 0, byref(count), None))
        try:
            tokens = np.empty(count.value, np.int32)
        except (MemoryError, ValueError):
            raise MemoryError(f"max_length: no memory for {count.value} tokens") from None
        logs = np.empty(options.sequences)
        code = generate(*arguments, pointer(tokens, c_int32), tokens.size, None, pointer(logs, c_double))
        if teller is not None and teller.error is not None:
            raise teller.error
        check(code)
        del kept
        found = [asked.result(row[row >= 0]) for row in tokens.reshape(options.sequences, -1)]
        result: Any = found[0] if sequences is None else found
        return (result, logs) if return_log_probabilities else result

    def generate_stream(
        self,
        prompt: Any,
        max_length: int | None = None,
        *,
        source: Any = None,
        min_length: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        end: Any = None,
        suppress: Any = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Iterator[Any]:
        """Yields token by token, or text by text, what `generate` would give; without `max_length` until one of `end`.

        What is wrong with the arguments is raised at once, not at the first token.
        """
        asked = _Prompt(self, prompt)
        options, _kept = asked.options(
            max_length, min_length, temperature, top_k, top_p, repetition_penalty, end, suppress, seed, threads
        )
        create, free, given = library.lstm_generator_create, library.lstm_generator_free, [asked.borrowed]
        if source is not None:
            create, given = library.lstm_generator_create_from, [_sample(source), asked.borrowed]
        structs = [borrowed.struct for borrowed in given]
        generator = Handle(lstm_generator, create, free, self.handle, *structs, options)
        return _walk(generator, asked)

    def forecast(self, x: Any, steps: int, next_input: Callable[[Floats], Any] | None = None) -> Floats:
        """The `steps` timesteps [steps, features] that follow x [T, features], each output being the next input.

        The first is what `predict` gives for the last timestep of x. `next_input` makes the next timestep of an output
        where they are not the same, as by drawing from the distribution that the output describes.
        UnsupportedError: without it a model is needed that reads as many numbers as it gives, and can stream.
        """
        with self.stream() as stream:
            rows = plain(x)
            if rows.ndim == 1 and stream.inputs == 1:
                rows = rows[:, np.newaxis]
            if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != stream.inputs:
                raise ValueError(f"x: expected shape (timesteps, {stream.inputs}), got {rows.shape}")
            stream.process(rows[:-1])
            return stream.forecast(rows[-1], steps, next_input)

    def tokenize(self, text: str) -> Tokens:
        """The tokens of a text, of a model with a Text layer. UnsupportedError: it has none."""
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__} {text!r}")
        data, count = text.encode(), c_size_t()
        if b"\0" in data:
            raise ValueError(f"text: expected a string without zero characters, got {text!r}")
        check(library.lstm_tokenize(self.handle, data, None, 0, byref(count)))
        tokens = np.empty(count.value, np.int32)
        check(library.lstm_tokenize(self.handle, data, pointer(tokens, c_int32), tokens.size, None))
        return tokens

    def detokenize(self, tokens: Any) -> str:
        """The text of tokens: characters in a row, words with spaces where they are usual. Padding has none.

        UnsupportedError: the model has no Text layer; ValueError: it has no such token.
        """
        array, count = _tokens("tokens", tokens), c_size_t()
        arguments = (self.handle, pointer(array, c_int32), array.size)
        check(library.lstm_detokenize(*arguments, None, 0, byref(count)))
        buffer = ctypes.create_string_buffer(count.value)
        check(library.lstm_detokenize(*arguments, buffer, count.value, None))
        return buffer.value.decode()


def _sample(source: Any) -> Borrowed:
    """One sample as a batch of it."""
    return Borrowed("source", [source] if isinstance(source, str) else np.asarray(source)[np.newaxis])


class _Prompt:
    """A prompt, and how what follows it is told: in the way in which it was given."""

    def __init__(self, model: Generating, prompt: Any) -> None:
        self._model = model
        self.is_text = isinstance(prompt, str)
        self.borrowed = Borrowed("prompt", [prompt] if self.is_text else prompt)
        self._last: Tokens | None = model.tokenize(prompt)[-1:] if self.is_text else None

    def options(
        self,
        max_length: int | None,
        min_length: int,
        temperature: float,
        top_k: int | None,
        top_p: float,
        repetition_penalty: float,
        end: Any,
        suppress: Any,
        seed: int,
        threads: int,
    ) -> tuple[lstm_generate_options, list[Any]]:
        """The struct of these, and what it points to."""
        options = lstm_generate_options()
        check(library.lstm_generate_options_init(options, sizeof(options)))
        options.max_length = _MOST if max_length is None else whole("max_length", max_length, 1, _MOST)
        options.min_length = whole("min_length", min_length, 0, _MOST)
        options.temperature, options.top_p = real("temperature", temperature), real("top_p", top_p)
        options.top_k = 0 if top_k is None else whole("top_k", top_k, 1)
        options.repetition_penalty = real("repetition_penalty", repetition_penalty)
        options.seed, options.threads = whole("seed", seed, 0, 2**64 - 1), whole("threads", threads)
        ends, suppressed = self._listed("end", end), self._listed("suppress", suppress)
        options.end_tokens, options.end_count = pointer(ends, c_int32), ends.size
        options.suppressed, options.suppressed_count = pointer(suppressed, c_int32), suppressed.size
        return options, [ends, suppressed]

    def _listed(self, name: str, given: Any) -> Tokens:
        """A token, a string of one, or a list of such, as an array."""
        if given is None:
            return np.empty(0, np.int32)
        items = [given] if isinstance(given, str) or np.ndim(given) == 0 else list(given)
        if not any(isinstance(item, str) for item in items):
            return _tokens(name, items)
        found: list[int] = []
        for item in items:
            tokens = self._model.tokenize(item) if isinstance(item, str) else [item]
            if len(tokens) != 1:
                raise ValueError(f"{name}: expected strings of one token, got {item!r} of {len(tokens)}")
            found.append(int(tokens[0]))
        return _tokens(name, found)

    def result(self, tokens: Tokens) -> Written:
        """All that was generated."""
        return self.text(self._last, tokens) if self._last is not None else tokens.copy()

    def text(self, before: Tokens, tokens: Sequence[int] | Tokens) -> str:
        """The text of tokens behind others, with the space between them if there is one."""
        whole_text = self._model.detokenize(np.concatenate([before, np.asarray(tokens, np.int32)]))
        return whole_text[len(self._model.detokenize(before)) :]

    def pieces(self) -> Callable[[int], int | str]:
        """What turns one token after the other into what the user hears of."""
        if self._last is None:
            return int
        before = self._last

        def piece(token: int) -> str:
            nonlocal before
            text = self.text(before, [token])
            before = np.array([token], np.int32) if text else before
            return text

        return piece


class _Teller:
    """Tells a Python function of each token. What it raises stops the generation, and is kept."""

    def __init__(self, callback: Listener, asked: _Prompt) -> None:
        self._callback, self._asked = callback, asked
        self._pieces: dict[int, Callable[[int], int | str]] = {}
        self.error: BaseException | None = None
        self.thunk = lstm_token_callback(self._hear)

    def _hear(self, sequence: int, _index: int, token: int, log_probability: float, _user: Any) -> int:
        try:
            if sequence not in self._pieces:
                self._pieces[sequence] = self._asked.pieces()
            return bool(self._callback(self._pieces[sequence](token), log_probability, sequence))
        except BaseException as error:
            self.error = error
            return 1


def _walk(generator: Handle, asked: _Prompt) -> Iterator[Any]:
    token, piece = c_int32(), asked.pieces()
    try:
        while True:
            check(library.lstm_generator_next(generator, byref(token), None))
            if token.value < 0:
                return
            yield piece(token.value)
    finally:
        generator.close()


def _tokens(name: str, tokens: Any) -> Tokens:
    """Tokens as C takes them. TypeError or ValueError: what are none."""
    array = np.atleast_1d(np.asarray(tokens))
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got elements of type {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one axis, got shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < 2**31):
        raise ValueError(f"{name}: expected tokens from 0 to {2**31 - 1}, got {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.int32)
