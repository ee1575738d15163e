"""Calls that are wrong in one argument, and every status code provoked.

A failed call must leave every model's saved bytes as they were.
"""

import ctypes

import binding
import harness
import numpy as np
import pytest
from refusals import CODES, NUMBERS, OK, STOPPED, refused

TOKENS = (
    "{'layers': [{'type': 'embedding', 'vocabulary': 40, 'units': 4}, {'type': 'lstm', 'units': 4},"
    " {'type': 'dense', 'units': 3, 'activation': 'softmax'}],"
    " 'training': {'loss': 'sparse_categorical_crossentropy', 'optimizer': 'adam'}}"
)
TEXT = (
    "{'layers': [{'type': 'text', 'length': 4}, {'type': 'embedding', 'vocabulary': 40, 'units': 4},"
    " {'type': 'lstm', 'units': 4, 'go_backwards': true}, {'type': 'dense', 'units': 1}]}"
)


class World:
    """Models and arrays that the cases bend; `numbers` is compiled, `text` neither compiled nor adapted."""

    def __init__(self, lib):
        self.lib = lib
        self.numbers, self.tokens, self.text = map(lib.model, (NUMBERS, TOKENS, TEXT))
        rng = np.random.default_rng(1)
        self.x = rng.random((8, 6, 3), np.float32)
        self.y = rng.random((8, 2), np.float32)
        self.ids = rng.integers(0, 40, (8, 6)).astype(np.int32)
        self.labels = np.arange(8, dtype=np.int32) % 3
        self.mask = np.ones((8, 6), np.uint8)

    def train_model(self, model, x, y, **options):
        """x and y are an lstm_array each, or what makes one."""
        arrays = [v if isinstance(v, ctypes.Structure) else self.lib.array(v) for v in (x, y)]
        return self.lib.train(model, *arrays, **options)

    def evaluate(self, model):
        return self.lib.evaluate(model, self.lib.array(self.x), self.lib.array(self.y))

    def train(self, x=None, y=None, **options):
        return self.train_model(self.numbers, self.x if x is None else x, self.y if y is None else y, **options)

    def train_tokens(self, ids=None, labels=None):
        return self.train_model(
            self.tokens, self.ids if ids is None else ids, self.labels if labels is None else labels
        )

    def validation(self, x, y):
        return {"validation_x": self.lib.array(x), "validation_y": self.lib.array(y)}

    def adapt(self, texts):
        return self.lib.adapt(self.text, ctypes.byref(self.lib.array(texts)))

    def made(self, create, model):
        """The handle that `create` makes of a model."""
        handle = ctypes.c_void_p()
        create(model, ctypes.byref(handle))
        return handle

    def trainer(self, model):
        return self.made(self.lib.trainer_create, model)

    def stream(self, model):
        return self.made(self.lib.stream_create, model)

    def predictor(self, model, threads=2):
        predictor = ctypes.c_void_p()
        self.lib.predictor_create(model, threads, ctypes.byref(predictor))
        return predictor

    def run(self, predictor, x, capacity=16):
        y = np.zeros(16, np.float32)
        return self.lib.predictor_run(predictor, ctypes.byref(self.lib.array(x)), y.ctypes.data, capacity, None)

    def steps(self, streams, x, outputs):
        x, y = np.asarray(x, np.float32), np.zeros(16, np.float32)
        handles = (ctypes.c_void_p * len(streams))(*streams)
        return self.lib.streams_step(handles, len(streams), x.ctypes.data, x.size, y.ctypes.data, outputs, 1)

    def clone(self, model):
        return self.made(self.lib.clone, model)

    def compressed(self, format):
        handle = ctypes.c_void_p()
        self.lib.compress(self.numbers, format, ctypes.byref(handle))
        return handle

    def confusion(self, model, x, y, capacity=16):
        counts, arrays = np.zeros(16, np.int64), [ctypes.byref(self.lib.array(values)) for values in (x, y)]
        return self.lib.confusion_matrix(model, *arrays, None, counts.ctypes.data, capacity, None)

    def inspect(self, model, x, layer, what, capacity=1024):
        y, x = np.zeros(1024, np.float32), ctypes.byref(self.lib.array(x))
        return self.lib.inspect(model, x, layer, what, None, None, y.ctypes.data, capacity, None)

    def saliency(self, model, x, output, steps=0, capacity=1024):
        y, x = np.zeros(1024, np.float32), ctypes.byref(self.lib.array(x))
        return self.lib.saliency(model, x, output, steps, None, None, y.ctypes.data, capacity, None)

    def decode(self, y, capacity=64, scores=16, **fields):
        labels, logarithms = np.zeros(64, np.int64), np.zeros(16)
        decoding = self.lib.structs["lstm_decoding"]()
        self.lib.decoding_init(ctypes.byref(decoding), ctypes.sizeof(decoding))
        for name, value in fields.items():
            setattr(decoding, name, value)
        places = (labels.ctypes.data, capacity, None, logarithms.ctypes.data, scores)
        return self.lib.ctc_decode(ctypes.byref(self.lib.array(y)), ctypes.byref(decoding), *places)

    def weigh_classes(self, trainer, weights, count):
        return self.lib.trainer_set_class_weights(trainer, np.asarray(weights, np.float64).ctypes.data, count)

    def set_in(self, model, name, values):
        values = np.asarray(values, np.float32)
        return self.lib.set_parameter(model, name, values.ctypes.data, values.size)

    def rate(self, trainer, rate):
        return self.lib.trainer_set_learning_rate(trainer, rate)

    def source(self, *batches, **options):
        made = [batch if isinstance(batch, int) else [self.lib.array(values) for values in batch] for batch in batches]
        return self.lib.train_from(self.held, made, **options)

    def scheduled(self):
        schedule = b"{'type': 'exponential_decay', 'initial_learning_rate': 1, 'decay_steps': 9, 'decay_rate': 0.5}"
        self.lib.compile(self.held, b"{'loss': 'mse', 'optimizer': {'type': 'sgd', 'learning_rate': %s}}" % schedule)
        return self.held

    def gradient(self, trainer, name):
        return self.lib.trainer_gradient(trainer, name, None, 0, None)

    def step(self, model, x, outputs, steps=None):
        x, y = np.asarray(x, np.float32), np.zeros(16, np.float32)
        sizes = (x.ctypes.data, x.size, y.ctypes.data, outputs)
        if steps is None:
            return self.lib.stream_step(self.stream(model), *sizes)
        return self.lib.stream_process(self.stream(model), steps, *sizes)

    def state(self, stream, values):
        return self.lib.stream_set_state(stream, np.asarray(values, np.float32).ctypes.data, len(values))

    def get(self, model, name, capacity):
        return self.lib.get_parameter(model, name, np.zeros(64, np.float32).ctypes.data, capacity, None)

    def set(self, name, values):
        return self.set_in(self.numbers, name, values)

    def info(self, index):
        info = self.lib.structs["lstm_parameter"]()
        info.struct_size = ctypes.sizeof(info)
        return self.lib.parameter_info(self.numbers, index, ctypes.byref(info))

    def init(self, *shape):
        array = self.lib.structs["lstm_array"]()
        extents = (ctypes.c_int64 * len(shape))(*shape)
        size = ctypes.sizeof(array)
        return self.lib.array_init(ctypes.byref(array), size, 2, self.x.ctypes.data, len(shape), extents)

    def bent(self, array, **fields):
        for name, value in fields.items():
            setattr(array, name, value)
        return array


def changed(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


CASES = [
    ("x of another rank", lambda w: w.train(x=w.x[:, 0]), "x 8 3 got"),
    ("x of other features", lambda w: w.train(x=np.zeros((8, 6, 5), np.float32)), "x 5 3"),
    ("x of texts", lambda w: w.train(x=["a"] * 8), "TYPE: x"),
    ("y of texts", lambda w: w.train(y=["a"] * 8), "TYPE: y"),
    ("numbers for text", lambda w: w.lib.predict(w.text, w.lib.array(w.x)), "TYPE: x"),
    ("y of fewer rows", lambda w: w.train(y=w.y[:7]), "y 7 8"),
    ("y of other width", lambda w: w.train(y=np.zeros((8, 3), np.float32)), "y 3 2"),
    ("no rows", lambda w: w.train(x=w.x[:0], y=w.y[:0]), "x 0"),
    ("NaN in x", lambda w: w.train(x=changed(w.x, (0, 1, 2), np.nan)), "x NaN"),
    ("NaN in y", lambda w: w.train(y=changed(w.y, (0, 1), np.nan)), "y NaN"),
    ("type unknown", lambda w: w.train(x=w.bent(w.lib.array(w.x), type=9)), "x type 9"),
    ("rank 9", lambda w: w.train(x=w.bent(w.lib.array(w.x), rank=9)), "x rank 9"),
    ("struct_size 4", lambda w: w.train(x=w.bent(w.lib.array(w.x), struct_size=4)), "x struct_size 4"),
    ("length over the steps", lambda w: w.train(x=w.lib.array(w.x, np.full(8, 7))), "lengths 7 6"),
    ("length negative", lambda w: w.train(x=w.lib.array(w.x, np.full(8, -2))), "lengths -2"),
    ("lengths and mask", lambda w: w.train(x=w.lib.array(w.x, np.full(8, 6), w.mask)), "lengths mask"),
    ("label over the classes", lambda w: w.train_tokens(labels=changed(w.labels, 3, 3)), "y 3"),
    ("label negative", lambda w: w.train_tokens(labels=changed(w.labels, 3, -1)), "y -1"),
    ("token past the vocabulary", lambda w: w.train_tokens(ids=changed(w.ids, (2, 1), 40)), "x 40"),
    ("token negative", lambda w: w.train_tokens(ids=changed(w.ids, (2, 1), -5)), "x -5"),
    ("token with a fraction", lambda w: w.train_tokens(ids=changed(w.ids * 1.0, (2, 1), 1.5)), "x 1.5"),
    ("token NaN", lambda w: w.train_tokens(ids=changed(w.ids * 1.0, (2, 1), np.nan)), "x NaN"),
    ("token 1e300", lambda w: w.train_tokens(ids=changed(w.ids * 1.0, (2, 1), 1e300)), "x"),
    ("token in predict", lambda w: w.lib.predict(w.tokens, w.lib.array(changed(w.ids, (0, 0), 41))), "x 41"),
    ("batch_size 0", lambda w: w.train(batch_size=0), "batch_size 0"),
    ("validation_split 1", lambda w: w.train(validation_split=1.0), "validation_split 1"),
    ("validation_split NaN", lambda w: w.train(validation_split=float("nan")), "validation_split NaN"),
    ("validation weights alone", lambda w: w.train(validation_weights=w.lib.array(w.y)), "validation_x"),
    ("validation_x alone", lambda w: w.train(validation_x=w.lib.array(w.x)), "validation_y"),
    ("validation_x bad", lambda w: w.train(**w.validation(w.x[:, 0], w.y)), "validation_x 8 3 got"),
    ("sample weight negative", lambda w: w.train(sample_weights=w.lib.array(-np.ones(8))), "sample_weights -1"),
    ("sample weights too few", lambda w: w.train(sample_weights=w.lib.array(np.ones(7))), "sample_weights 7 8"),
    ("sample weights of steps", lambda w: w.train(sample_weights=w.lib.array(np.ones((8, 6)))), "sample_weights 8 6"),
    ("class weight NaN", lambda w: w.train(class_weights=np.array([1, np.nan]), class_count=2), "class_weights NaN"),
    ("monitor unknown", lambda w: w.train(early_stopping=1, monitor=b"val_los"), "monitor val_los"),
    ("monitor_mode 3", lambda w: w.train(early_stopping=1, monitor=b"loss", monitor_mode=3), "monitor_mode 3"),
    ("model not compiled", lambda w: w.train_model(w.text, ["a"], w.y[:1, :1]), "model compile|training"),
    ("text not adapted", lambda w: w.lib.predict(w.text, w.lib.array(["a"])), "adapt|vocabulary"),
    ("NULL among the texts", lambda w: w.adapt(["a", None]), "x NULL"),
    ("parameter unknown", lambda w: w.get(w.numbers, b"last.bia", 0), "name last.bia"),
    ("parameter capacity", lambda w: w.get(w.numbers, b"last.bias", 1), "capacity 1 2"),
    ("parameter count", lambda w: w.set(b"last.bias", np.zeros(3)), "count 3 2"),
    ("parameter NaN", lambda w: w.set(b"last.bias", np.full(2, np.nan)), "values NaN"),
    ("parameter index", lambda w: w.info(99), "index 99"),
    ("format unknown", lambda w: w.compressed(3), "format 3 LSTM_BF16"),
    ("compressed: train", lambda w: w.train_model(w.compressed(1), w.x, w.y), "UNSUPPORTED: model float32 bfloat16"),
    ("compressed: trainer", lambda w: w.trainer(w.compressed(2)), "UNSUPPORTED: model float32 int8"),
    ("compressed: evaluate", lambda w: w.evaluate(w.compressed(2)), "UNSUPPORTED: model float32 int8"),
    ("compressed: compile", lambda w: w.lib.compile(w.compressed(1), b"{'loss': 'mse'}"), "UNSUPPORTED: bfloat16"),
    ("compressed: set", lambda w: w.set_in(w.compressed(1), b"last.bias", [1, 2]), "UNSUPPORTED: bfloat16"),
    ("second trainer", lambda w: (w.trainer(w.held), w.trainer(w.held)), "model trained"),
    ("trainer: gradient before a step", lambda w: w.gradient(w.trainer(w.held), b"last.bias"), "step"),
    ("trainer: rate NaN", lambda w: w.rate(w.trainer(w.held), np.nan), "rate NaN"),
    ("trainer: rate negative", lambda w: w.rate(w.trainer(w.held), -0.5), "rate -0.5"),
    ("rate NaN", lambda w: w.lib.set_learning_rate(w.numbers, np.nan), "rate NaN"),
    ("rate of a schedule", lambda w: w.lib.set_learning_rate(w.scheduled(), 0.5), "rate schedule 0.5"),
    ("rate: not compiled", lambda w: w.lib.learning_rate(w.text, ctypes.byref(ctypes.c_double())), "model training"),
    ("average 2", lambda w: w.lib.serve_average(w.numbers, 2), "average 2"),
    ("average of none", lambda w: w.lib.serve_average(w.numbers, 1), "model use_ema average_from"),
    ("average beside a trainer", lambda w: (w.trainer(w.held), w.lib.serve_average(w.held, 0)), "model trained"),
    ("source fails", lambda w: w.source((w.x, w.y), -5), "SOURCE: source -5 batch 1 epoch 0"),
    ("source: no batch", lambda w: w.source(), "source batch none"),
    ("source: x", lambda w: w.source((w.x[:, 0], w.y)), "x 8 3 got"),
    ("source: weights", lambda w: w.source((w.x, w.y, -np.ones(8))), "weights -1"),
    ("source: split", lambda w: w.source((w.x, w.y), validation_split=0.5), "validation_split 0.5"),
    ("source: sample_weights", lambda w: w.source(sample_weights=w.lib.array(np.ones(8))), "sample_weights NULL"),
    ("steps of arrays", lambda w: w.train(steps_per_epoch=2), "steps_per_epoch 2"),
    ("resume 2", lambda w: w.train(resume=2), "resume 2"),
    ("plateau: monitor", lambda w: w.train(reduce_on_plateau=1), "plateau_monitor loss val_loss"),
    ("plateau: factor", lambda w: w.train(plateau_factor=1.0), "plateau_factor 1"),
    ("plateau: min_rate", lambda w: w.train(plateau_min_rate=-1.0), "plateau_min_rate -1"),
    ("plateau: mode", lambda w: w.train(plateau_mode=3), "plateau_mode 3"),
    ("train beside a trainer", lambda w: (w.trainer(w.held), w.train_model(w.held, w.x, w.y)), "model trained"),
    ("decoding: rank", lambda w: w.decode(w.x[0]), "outputs shape 6 3"),
    ("decoding: texts", lambda w: w.decode(["a"] * 8), "TYPE: outputs"),
    ("decoding: capacity", lambda w: w.decode(w.x, 47), "capacity 47 48"),
    ("decoding: log_capacity", lambda w: w.decode(w.x, scores=7), "log_capacity 7 8"),
    ("decoding: best", lambda w: w.decode(w.x, best=2), "decoding.best 1 2"),
    ("decoding: none", lambda w: w.decode(w.x, best=0), "decoding.best 1 0"),
    ("decoding: blank", lambda w: w.decode(w.x, blank=3), "decoding.blank 2 3"),
    ("decoding: probabilities", lambda w: w.decode(w.x, probabilities=2), "decoding.probabilities 0 1 2"),
    ("decoding: beam", lambda w: w.decode(w.x, beam_width=2**32 - 1), "NOMEM: memory"),
    ("confusion of numbers", lambda w: w.confusion(w.numbers, w.x, w.y), "UNSUPPORTED: model loss classes"),
    ("confusion: capacity", lambda w: w.confusion(w.tokens, w.ids, w.labels, 8), "capacity 8 9"),
    ("confusion: label", lambda w: w.confusion(w.tokens, w.ids, changed(w.labels, 3, 3)), "y 3"),
    ("class weights: NaN", lambda w: w.weigh_classes(w.trainer(w.held), [1, np.nan], 2), "weights NaN"),
    ("class weights: count", lambda w: w.weigh_classes(w.trainer(w.held), [1], 2**31), "count 2147483648"),
    (
        "class weights: none of them",
        lambda w: w.lib.trainer_set_class_weights(w.trainer(w.held), None, 2),
        "weights NULL",
    ),
    ("inspect: layer", lambda w: w.inspect(w.numbers, w.x, b"lost", b"gates"), "layer lost"),
    ("inspect: what", lambda w: w.inspect(w.tokens, w.ids, b"lstm", b"gate"), "what output hidden gates gate"),
    ("inspect: not there", lambda w: w.inspect(w.tokens, w.ids, b"dense", b"gates"), "UNSUPPORTED: dense output gates"),
    ("inspect: text", lambda w: w.inspect(w.text, ["a"], b"text", b"output"), "UNSUPPORTED: text nothing output"),
    ("inspect: capacity", lambda w: w.inspect(w.tokens, w.ids, b"lstm", b"memory", 8), "capacity 192 8"),
    ("saliency: output", lambda w: w.saliency(w.numbers, w.x, 2), "output 1 2"),
    ("saliency: steps", lambda w: w.saliency(w.numbers, w.x, 0, 10001), "steps 10000 10001"),
    ("saliency: capacity", lambda w: w.saliency(w.numbers, w.x, 0, 0, 143), "capacity 144 143"),
    ("saliency: compressed", lambda w: w.saliency(w.compressed(2), w.x, 0), "UNSUPPORTED: weights float32 int8"),
    (
        "norms before a step",
        lambda w: w.lib.trainer_gradient_norms(w.trainer(w.held), None, 0, None),
        "trainer made a step",
    ),
    ("stream: x_count", lambda w: w.step(w.numbers, np.zeros(4), 2), "x_count 4 3"),
    ("stream: y_count", lambda w: w.step(w.numbers, np.zeros(3), 1), "y_count 1 2"),
    ("stream: steps overflow", lambda w: w.step(w.numbers, np.zeros(3), 2, steps=2**63 + 1), "steps|x_count"),
    ("stream: token", lambda w: w.step(w.tokens, np.full(1, 40), 3), "x 40"),
    ("stream: state", lambda w: w.state(w.stream(w.numbers), np.zeros(3)), "count 3"),
    ("streams: x_count", lambda w: w.steps([w.stream(w.numbers)], np.zeros(4), 2), "x_count 4 3"),
    ("streams: y_count", lambda w: w.steps([w.stream(w.numbers)], np.zeros(3), 4), "y_count 4 2"),
    ("streams: one twice", lambda w: w.steps([w.stream(w.numbers)] * 2, np.zeros(6), 4), "streams"),
    (
        "streams: two models",
        lambda w: w.steps([w.stream(w.numbers), w.stream(w.held)], np.zeros(6), 4),
        "streams model",
    ),
    ("streams: a model", lambda w: w.steps([w.stream(w.numbers), w.numbers], np.zeros(6), 4), "streams"),
    ("streams: token", lambda w: w.steps([w.stream(w.tokens), w.stream(w.tokens)], [1, 40], 6), "x 40"),
    ("predictor: x", lambda w: w.run(w.predictor(w.numbers), w.x[:, 0]), "x 8 3 got"),
    ("predictor: capacity", lambda w: w.run(w.predictor(w.numbers), w.x, 15), "capacity 15 16"),
    ("stream backwards", lambda w: w.stream(w.text), "UNSUPPORTED: go_backwards"),
    ("kernels unknown", lambda w: w.lib.use_kernels(b"sse"), "name sse baseline"),
    ("kernels of another machine", lambda w: w.lib.use_kernels(b"neon"), "UNSUPPORTED: neon"),
    ("too many threads", lambda w: w.predictor(w.numbers, 1025), "threads 1024 1025"),
    ("flags unknown", lambda w: w.lib.saved(w.numbers, 2), "flags 2"),
    ("handle freed", lambda w: w.clone(w.freed), "model"),
    ("handle of another kind", lambda w: w.clone(w.stream(w.numbers)), "model"),
    ("compile with a typo", lambda w: w.lib.compile(w.numbers, b"{'loss': 'msee'}"), "loss msee"),
    ("shape that overflows", lambda w: w.init(2**31, 2**31, 2), "shape"),
    ("extent negative", lambda w: w.init(-3), "shape -3"),
]


@pytest.fixture(scope="module")
def world(lib):
    return World(lib)


@pytest.mark.parametrize(("act", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_call(world, act, expected):
    models = (world.numbers, world.tokens, world.text)
    before = [world.lib.saved(model) for model in models]
    world.held, world.freed = world.lib.model(NUMBERS), world.lib.model(NUMBERS)
    world.lib.free(world.freed)
    refused(lambda: act(world), expected)
    assert [world.lib.saved(model) for model in models] == before


def test_struct_of_a_newer_header(world):
    options = world.lib.options()
    room = (ctypes.c_uint8 * (ctypes.sizeof(options) + 8)).from_buffer_copy(bytes(options) + bytes(8))
    ctypes.memmove(room, (ctypes.c_uint32 * 1)(len(room)), 4)
    arrays = [ctypes.byref(world.lib.array(values)) for values in (world.x, world.y)]
    model = world.lib.model(NUMBERS)
    assert world.lib.call("train", model, *arrays, ctypes.byref(room), None) == OK
    room[-1] = 1
    refused(lambda: world.lib.call("train", model, *arrays, ctypes.byref(room), None), "VERSION: options version")


def test_allocator_that_refuses(lib):
    refuse = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)(lambda *_: None)
    ignore = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)(lambda *_: None)
    addresses = [ctypes.cast(function, ctypes.c_void_p) for function in (refuse, ignore)]
    allocator = lib.structs["lstm_allocator"](32, 0, *addresses, None)
    model = ctypes.c_void_p(77)
    refused(lambda: lib.create(NUMBERS.encode(), ctypes.byref(allocator), ctypes.byref(model)), "NOMEM: memory")
    assert model.value == 77


def test_training_that_diverges_keeps_the_last_good_weights(world):
    model = world.lib.model(NUMBERS.replace("'sgd'", "{'type': 'sgd', 'learning_rate': 1e30}"))
    before = world.lib.predict(model, world.lib.array(world.x))
    refused(lambda: world.train_model(model, world.x, world.y, epochs=5, batch_size=2), "DIVERGED: loss|gradients")
    np.testing.assert_array_equal(world.lib.predict(model, world.lib.array(world.x)), before)


def test_callback_stops_and_may_not_train(world):
    model, codes = world.lib.model(NUMBERS), []
    x, y = world.lib.array(world.x), world.lib.array(world.y)

    def progress(_, __):
        codes.append(world.lib.dll.lstm_train(model, ctypes.byref(x), ctypes.byref(y), None, None))
        codes.append(world.lib.dll.lstm_predict(model, ctypes.byref(x), None, None, 0, None))
        return 1

    assert world.lib.train(model, x, y, progress=binding.PROGRESS(progress)) == STOPPED
    assert codes[:2] == [CODES["ARG"], OK]
    assert world.lib.predict(model, x).shape == (16,)


def test_model_freed_in_its_own_callback_lives_until_training_is_done(world):
    model, codes = world.lib.model(NUMBERS), []
    x, y = world.lib.array(world.x), world.lib.array(world.y)

    def progress(_, __):
        world.lib.free(model)
        codes.append(world.lib.dll.lstm_predict(model, ctypes.byref(x), None, None, 0, None))
        return 0

    assert world.lib.train(model, x, y, progress=binding.PROGRESS(progress)) == OK
    assert set(codes) == {CODES["ARG"]}


def test_every_code_has_a_text(lib, header):
    codes = {int(value.strip("()")) for name, value in header.macros.items() if name.startswith("LSTM_ERR_")}
    assert codes == set(range(-10, 0))
    texts = {lib.strerror(code) for code in [*codes, OK, STOPPED]}
    assert len(texts) == len(codes) + 2 and all(len(text) > 3 for text in texts)
    assert lib.strerror(-1000) and lib.strerror(2**31 - 1)


def test_the_text_is_of_this_thread(library, workshop):
    harness.check([workshop.compile(harness.ABI / "thread_errors.c"), library])
