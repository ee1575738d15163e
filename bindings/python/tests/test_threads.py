"""Threads and processes: one model predicting in many, models of their own training, and a child after a fork."""

import copy
import gc
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import PACKAGE

import lstm
from lstm.layers import GRU, LSTM, Bidirectional, Dense


def new_model(seed=3):
    model = lstm.Sequential([LSTM(8, input_shape=(None, 3)), Dense(1)], seed=seed)
    model.compile("adam", "mse")
    return model


def test_threads_predict_on_one_model(rng):
    model = new_model()
    batches = [rng.normal(size=(1 + 3 * i, 4 + i, 3)).astype(np.float32) for i in range(8)]
    targets = [np.zeros(len(batch)) for batch in batches]
    expected = [(model.predict(x), model.evaluate(x, y, verbose=0)) for x, y in zip(batches, targets)]

    def work(index):
        x, y = batches[index % 8], targets[index % 8]
        stream = model.stream()
        streamed = stream.process(x[0])[-1]
        y_hat, loss = expected[index % 8]
        same = model.predict(x).tobytes() == y_hat.tobytes() and model.evaluate(x, y, verbose=0) == loss
        return same and np.array_equal(streamed, y_hat[0])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


def test_errors_belong_to_their_thread():
    model = new_model()

    def work(features):
        for _ in range(50):
            with pytest.raises(ValueError, match=rf"\b{features}\b"):
                model.predict(np.zeros((2, 3, features)))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, [4, 5, 6, 7]))


def test_models_train_in_threads(regression):
    def train(seed):
        model = new_model(seed)
        return model.fit(*regression, epochs=3, verbose=0).history

    expected = [train(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(train, range(4))) == expected


def task_count():
    """The threads of the process. The kernel lists one for a moment after it was joined: what two looks agree on."""
    before = -1
    while before != (now := len(os.listdir("/proc/self/task"))):
        before = now
        time.sleep(0.02)
    return now


def test_the_number_of_threads_changes_no_bit(rng):
    """On a model and batches that are large enough to be shared out."""
    x, y = rng.normal(size=(70, 12, 20)).astype(np.float32), rng.normal(size=(70, 3))
    layers = [Bidirectional(GRU(48, return_sequences=True)), LSTM(65, dropout=0.2), Dense(3)]

    def run(threads):
        model = lstm.Sequential(copy.deepcopy(layers), seed=3)
        model.compile("adam", "mse")
        history = model.fit(x, y, epochs=2, verbose=0, threads=threads, validation_split=0.3).history
        with model.trainer(threads=threads) as trainer:
            losses = [trainer.step(x, y) for _ in range(2)]
        loss = model.evaluate(x, y, verbose=0, threads=threads)
        return history, losses, loss, model.predict(x, threads=threads).tobytes(), model.to_bytes()

    before, expected = task_count(), run(1)
    for threads in (0, 2, 3, 8):
        assert run(threads) == expected
    assert task_count() == before


def test_workers_end_with_their_object(regression):
    x, y = regression
    model, before = new_model(), task_count()
    with model.trainer(threads=2) as trainer, model.predictor(threads=2) as predictor, model.stream() as stream:
        stream.set_threads(2)
        for _ in range(3):
            trainer.step(x, y)
            predictor(x)
            stream.step(x[0, 0])
    assert task_count() == before
    trainer, predictor, stream = model.trainer(threads=2), model.predictor(threads=2), model.stream()
    trainer.step(x, y)
    predictor(x)
    del trainer, predictor, stream
    assert task_count() == before


def test_predictors_of_one_model_in_threads(rng):
    model = new_model()
    batches = [rng.normal(size=(1 + 3 * i, 4 + i, 3)).astype(np.float32) for i in range(4)]
    expected = [model.predict(x) for x in batches]

    def work(index):
        with model.predictor(threads=2) as predictor:
            order = [(index + i) % 4 for i in range(40)]
            return all(np.array_equal(predictor(batches[i]), expected[i]) for i in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.parametrize(("threads", "error"), [(-1, ValueError), (2**32, ValueError), ("all", TypeError)])
def test_threads_that_are_no_number(threads, error, regression):
    x, y = regression
    model = new_model()
    for call in (
        lambda: model.fit(x, y, verbose=0, threads=threads),
        lambda: model.evaluate(x, y, verbose=0, threads=threads),
        lambda: model.predict(x, threads=threads),
        lambda: model.predictor(threads=threads),
        lambda: model.trainer(threads=threads),
    ):
        with pytest.raises(error, match="threads: expected an integer"):
            call()
    model.trainer().close()  # none was left open


def in_child(model, x, y, pipe):
    model.fit(x, y, verbose=0)
    pipe.send(model.predict(x))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_trains(method, regression):
    x, y = regression
    model = new_model()
    model.fit(x, y, verbose=0)
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=in_child, args=(model, x, y, there))
    child.start()
    assert here.poll(60)
    theirs = here.recv()
    child.join()
    assert child.exitcode == 0
    model.fit(x, y, verbose=0)
    assert np.array_equal(theirs, model.predict(x))


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "os._exit(0)", "model.fit(x, y, epochs=10**6, verbose=0)"])
def test_the_interpreter_ends_quietly(ending):
    """Whatever is alive at exit: models, streams, trainers, and a daemon thread in the middle of predictions."""
    code = f"""
import os, sys, threading
import numpy as np
import lstm
from lstm.layers import LSTM, Dense
x, y = np.zeros((64, 30, 4)), np.zeros(64)
model = lstm.Sequential([LSTM(32), Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
stream, trainer, predictor = model.stream(), model.trainer(threads=2), model.predictor(threads=2)
stream.set_threads(2)
stream.step(x[0, 0])
trainer.step(x, y)
predictor(x)
def forever():
    while True:
        model.predict(x)
threading.Thread(target=forever, daemon=True).start()
if {ending!r}.startswith("model.fit"):
    trainer.close()
    threading.Timer(0.3, os._exit, [0]).start()
{ending}
"""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_memory_stays_flat(regression):
    """Models, trainers and streams that come and go leave nothing behind."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cycle():
        model = new_model()
        model.fit(*regression, verbose=0)
        model.train_on_batch(*regression)
        lstm.from_bytes(model.to_bytes()).stream().step(np.zeros(3))
        model.predictor(threads=2)(regression[0])
        with pytest.raises(ValueError, match="compile"):
            lstm.Sequential([Dense(1, input_shape=(2,))]).trainer()

    for _ in range(50):
        cycle()
    before = resident()
    for _ in range(300):
        cycle()
    assert resident() - before < 2 << 20


def test_nothing_is_left_to_the_garbage_collector(regression):
    """Models, trainers, streams and training make no cycles: memory is free as soon as the last name is."""
    gc.collect()
    gc.disable()
    try:
        model = new_model()
        model.fit(*regression, verbose=0, validation_split=0.2, callbacks=[lstm.callbacks.EarlyStopping()])
        model.train_on_batch(*regression)
        model.predict(regression[0], lengths=np.ones(40, int))
        copy.deepcopy(lstm.from_bytes(model.to_bytes())).stream().step(np.zeros(3))
        with model.trainer() as trainer, model.predictor() as predictor:
            trainer.step(*regression)
            predictor(regression[0])
        del model, trainer, predictor
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [found for found in gc.garbage if type(found).__module__.startswith("lstm")] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
