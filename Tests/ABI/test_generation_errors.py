"""Calls of generation and forecasts that are wrong in one argument: the code, the argument, the value."""

import ctypes

import numpy as np
import pytest
from refusals import NUMBERS, refused

EMBEDDING = "{'layers': [%s{'type': 'embedding', 'vocabulary': 5, 'units': 2}, {'type': 'gru', 'units': 3%s}, %s]}"
DENSE = "{'type': 'dense', 'units': %d, 'activation': '%s'}"
LANGUAGE = EMBEDDING % ("{'type': 'text', 'vocabulary': ['a', 'b']}, ", "", DENSE % (5, "linear"))
BARE = EMBEDDING % ("", "", DENSE % (5, "linear"))
CLASSES = EMBEDDING % ("", "", DENSE % (3, "softmax"))
SIGMOID = EMBEDDING % ("", "", DENSE % (5, "sigmoid"))
BACKWARDS = EMBEDDING % ("", ", 'go_backwards': true", DENSE % (5, "softmax"))
UNKNOWN = EMBEDDING % ("{'type': 'text'}, ", "", DENSE % (5, "linear"))
OVERFLOWING = "{'layers': [{'type': 'embedding', 'vocabulary': 5, 'units': 2}, {'type': 'dense', 'units': 5}]}"
FORECAST = "{'input_shape': [null, 2], 'layers': [{'type': 'lstm', 'units': 2, 'return_sequences': true}]}"
TOKENS = np.array([2, 3])
ENDS, WORDS = np.array([4, 5], np.int32), np.array([1, 2, 3], np.int32)


class Writer:
    """Calls with good arguments but for those that a case gives."""

    def __init__(self, lib):
        self.lib = lib

    def asked(self, prompt, fields):
        """A prompt and options as they are passed."""
        options = self.lib.structs["lstm_generate_options"]()
        self.lib.generate_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.max_length = 5
        for name, value in fields.items():
            setattr(options, name, value.ctypes.data if isinstance(value, np.ndarray) else value)
        return ctypes.byref(self.lib.array(prompt)), ctypes.byref(options)

    def generate(self, prompt=TOKENS, model=LANGUAGE, capacity=64, **fields):
        model = self.lib.model(model) if isinstance(model, str) else model
        tokens = np.zeros(64, np.int32)
        return self.lib.generate(model, *self.asked(prompt, fields), tokens.ctypes.data, capacity, None, None)

    def generator(self, **fields):
        generator = ctypes.c_void_p()
        return self.lib.generator_create(self.lib.model(LANGUAGE), *self.asked(TOKENS, fields), ctypes.byref(generator))

    def tokenize(self, text, model=LANGUAGE):
        return self.lib.tokenize(self.lib.model(model), text, None, 0, None)

    def detokenize(self, tokens, model=LANGUAGE):
        tokens = np.asarray(tokens, np.int32)
        return self.lib.detokenize(self.lib.model(model), tokens.ctypes.data, tokens.size, None, 0, None)

    def forecast(self, model, inputs, outputs):
        stream, x, y = ctypes.c_void_p(), np.zeros(8, np.float32), np.zeros(16, np.float32)
        self.lib.stream_create(self.lib.model(model), ctypes.byref(stream))
        return self.lib.stream_forecast(stream, 3, x.ctypes.data, inputs, y.ctypes.data, outputs)

    def not_finite(self):
        """A model whose logits overflow."""
        model = self.lib.model(OVERFLOWING)
        for name, shape in ((b"embedding.weights", (5, 2)), (b"dense.weights", (2, 5))):
            values = np.full(shape, 3e38, np.float32)
            self.lib.set_parameter(model, name, values.ctypes.data, values.size)
        return model


CASES = [
    ("numbers", lambda w: w.generate(model=NUMBERS), "UNSUPPORTED: model tokens numbers"),
    ("classes", lambda w: w.generate(model=CLASSES), "UNSUPPORTED: model 5 tokens 3"),
    ("sigmoid", lambda w: w.generate(model=SIGMOID), "UNSUPPORTED: model softmax sigmoid"),
    ("backwards", lambda w: w.generate(model=BACKWARDS), "UNSUPPORTED: go_backwards"),
    ("text for tokens", lambda w: w.generate(["a"], BARE), "TYPE: prompt text string"),
    ("two texts", lambda w: w.generate(["a", "b"]), "prompt one 2"),
    ("no text", lambda w: w.generate([None]), "prompt NULL"),
    ("empty text", lambda w: w.generate([""]), "prompt token none"),
    ("no tokens", lambda w: w.generate(np.zeros(0)), "prompt token none"),
    ("two axes", lambda w: w.generate(np.zeros((1, 2))), "prompt axis 1 2"),
    ("token", lambda w: w.generate(np.array([2, 5])), "prompt 1 5 4"),
    ("half a token", lambda w: w.generate(np.array([2.5])), "prompt 0 2.5"),
    ("NaN", lambda w: w.generate(np.array([2, np.nan])), "prompt 1 NaN"),
    ("capacity", lambda w: w.generate(capacity=4), "capacity 5 4"),
    ("sequences", lambda w: w.generate(sequences=4097), "sequences 4096 4097"),
    ("max_length", lambda w: w.generate(max_length=0), "max_length 0"),
    ("too much", lambda w: w.generate(max_length=2**56, sequences=2), "NOMEM: memory"),
    ("end_tokens", lambda w: w.generate(end_tokens=ENDS, end_count=2), "end_tokens 1 5"),
    ("end_count", lambda w: w.generate(end_count=2), "end_tokens end_count 2 NULL"),
    ("suppressed", lambda w: w.generate(suppressed=ENDS, suppressed_count=2), "suppressed 1 5"),
    ("nothing left", lambda w: w.generate(suppressed=WORDS, suppressed_count=3), "suppressed token none"),
    ("temperature", lambda w: w.generate(temperature=-1.0), "temperature 0 -1"),
    ("temperature NaN", lambda w: w.generate(temperature=np.nan), "temperature NaN"),
    ("top_p", lambda w: w.generate(top_p=1.5), "top_p 1.5"),
    ("repetition_penalty", lambda w: w.generate(repetition_penalty=0.0), "repetition_penalty 0"),
    ("length_penalty", lambda w: w.generate(length_penalty=0.6), "length_penalty 0.6 beams"),
    ("beams", lambda w: w.generate(beams=0), "beams 0"),
    ("best of beams", lambda w: w.generate(beams=2, sequences=3), "sequences 2 3"),
    ("beams and top_k", lambda w: w.generate(beams=2, top_k=3), "top_k beams 3"),
    ("beams and top_p", lambda w: w.generate(beams=2, top_p=0.5), "top_p beams 0.5"),
    ("beams drawn", lambda w: w.generate(beams=2, temperature=0.5), "temperature beams 0.5"),
    ("beams, repetition", lambda w: w.generate(beams=2, repetition_penalty=2.0), "repetition_penalty beams"),
    ("beams, token", lambda w: w.generate(beams=2, token=ENDS), "token NULL beams"),
    ("threads", lambda w: w.generate(threads=1025), "threads 1025"),
    ("reserved", lambda w: w.generate(reserved=1), "VERSION: reserved 1"),
    ("not finite", lambda w: w.generate(model=w.not_finite()), "model outputs finite token 0"),
    ("beams, not finite", lambda w: w.generate(model=w.not_finite(), beams=2), "model outputs finite"),
    ("generator: sequences", lambda w: w.generator(sequences=2), "sequences 1 2"),
    ("generator: beams", lambda w: w.generator(beams=2), "beams 1 2"),
    ("generator: token", lambda w: w.generator(token=ENDS), "token NULL function"),
    ("tokenize: no layer", lambda w: w.tokenize(b"a", BARE), "UNSUPPORTED: model text"),
    ("tokenize: not adapted", lambda w: w.tokenize(b"a", UNKNOWN), "vocabulary none lstm_adapt"),
    ("tokenize: bytes", lambda w: w.tokenize(b"a \xff"), "text UTF-8 0xff"),
    ("detokenize: token", lambda w: w.detokenize([2, 4]), "tokens 1 4 3"),
    ("detokenize: below 0", lambda w: w.detokenize([-1]), "tokens 0 -1"),
    ("detokenize: no layer", lambda w: w.detokenize([2], BARE), "UNSUPPORTED: model text"),
    ("forecast: sizes", lambda w: w.forecast(NUMBERS, 3, 6), "UNSUPPORTED: stream 3 2"),
    ("forecast: tokens", lambda w: w.forecast(BARE, 1, 15), "UNSUPPORTED: stream tokens"),
    ("forecast: x_count", lambda w: w.forecast(FORECAST, 3, 6), "x_count 2 3"),
    ("forecast: y_count", lambda w: w.forecast(FORECAST, 2, 4), "y_count 6 4"),
]


@pytest.mark.parametrize(("act", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_call(lib, act, expected):
    refused(lambda: act(Writer(lib)), expected)


def test_outputs_are_untouched_after_an_error(lib):
    tokens, logs = np.full(10, 7, np.int32), np.full(2, 7.0)
    writer = Writer(lib)
    model, asked = writer.not_finite(), writer.asked(TOKENS, {"sequences": 2})
    refused(lambda: lib.generate(model, *asked, tokens.ctypes.data, 10, None, logs.ctypes.data), "model")
    assert (tokens == 7).all() and (logs == 7).all()
