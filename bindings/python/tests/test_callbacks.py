"""Callbacks: their order, their errors, Ctrl-C and signals."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from conftest import PACKAGE

import lstm
from lstm import UnsupportedError
from lstm.callbacks import Callback, LambdaCallback


class Recorder(Callback):
    """Writes down every call."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_train_end(self, logs=None):
        self.calls.append(("train end", sorted(logs)))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch end", epoch, sorted(logs)))

    def on_batch_begin(self, batch, logs=None):
        self.calls.append(("batch begin", batch))

    def on_batch_end(self, batch, logs=None):
        self.calls.append(("batch end", batch, sorted(logs)))


def test_order_of_calls(regressor, regression):
    recorder = Recorder()
    regressor.fit(*regression, 20, 2, 0, [recorder], initial_epoch=1, validation_split=0.2)
    logs = ["loss", "mae"]
    every = ["loss", "mae", "val_loss", "val_mae"]
    assert recorder.calls == [
        "train begin",
        ("epoch begin", 1),
        ("batch begin", 0),
        ("batch end", 0, logs),
        ("batch begin", 1),
        ("batch end", 1, logs),
        ("epoch end", 1, every),
        ("train end", every),
    ]
    assert recorder.model is regressor
    assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}


def test_logs_are_those_of_the_history(regressor, regression):
    seen = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    history = regressor.fit(*regression, epochs=3, verbose=0, callbacks=look)
    assert seen == [{name: history.history[name][epoch] for name in history.history} for epoch in range(3)]


EVENTS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_train_batch_begin",
    "on_batch_end",
    "on_train_batch_end",
    "on_epoch_end",
    "on_train_end",
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), KeyboardInterrupt(), SystemExit(3), StopIteration("s")])
def test_an_exception_stops_training_and_comes_out_unchanged(regressor, regression, event, error):
    recorder = Recorder()

    def fail(*arguments):
        raise error

    with pytest.raises(type(error)) as caught:
        regressor.fit(*regression, 8, 3, 0, [LambdaCallback(**{event: fail}), recorder])
    assert caught.value is error
    if event != "on_train_end":
        assert ("epoch begin", 1) not in recorder.calls
    regressor.fit(*regression, verbose=0)  # all is well afterwards


def test_nothing_is_called_after_an_exception(regressor, regression):
    recorder = Recorder()

    def fail(batch, logs):
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        regressor.fit(*regression, 8, 3, 0, [recorder, LambdaCallback(on_batch_end=fail)])
    assert recorder.calls == ["train begin", ("epoch begin", 0), ("batch begin", 0), ("batch end", 0, ["loss", "mae"])]


def test_an_exception_keeps_the_weights_of_the_last_step(regressor, regression):
    seen = []

    def fail(batch, logs):
        if batch == 2:
            seen.extend(regressor.get_weights())
            raise ZeroDivisionError

    before = regressor.get_weights()
    with pytest.raises(ZeroDivisionError):
        regressor.fit(*regression, 8, 3, 0, [LambdaCallback(on_batch_end=fail)])
    after = regressor.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(seen, after))
    assert not all(np.array_equal(a, b) for a, b in zip(before, after))


def test_stop_training(regressor, regression):
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    recorder = Recorder()
    history = regressor.fit(*regression, epochs=9, verbose=0, callbacks=[Stop(), recorder])
    assert history.epoch == [0, 1]
    assert recorder.calls[-1][0] == "train end"
    assert regressor.fit(*regression, epochs=2, verbose=0).epoch == [0, 1]  # not stopped for ever


def test_stop_training_in_mid_epoch(regressor, regression):
    recorder = Recorder()

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    regressor.fit(*regression, 4, 9, 0, [recorder, Stop()])
    assert [call for call in recorder.calls if call[0] == "batch end"][-1][1] == 1
    assert ("epoch begin", 1) not in recorder.calls


def test_what_a_callback_may_do(regressor, regression, tmp_path):
    x, y = regression

    def look(epoch, logs):
        regressor.predict(x)
        regressor.evaluate(x, y, verbose=0)
        regressor.get_weights()
        regressor.to_bytes()
        regressor.summary(print_fn=len)
        regressor.save(tmp_path / "model")

    regressor.fit(x, y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=look)])
    for forbidden in (
        lambda *_: regressor.fit(x, y, verbose=0),
        lambda *_: regressor.set_weights(regressor.get_weights()),
        lambda *_: regressor.compile("sgd", "mse"),
        lambda *_: regressor.trainer(),
        lambda *_: regressor.adapt(x),
    ):
        with pytest.raises(ValueError, match="being trained"):
            regressor.fit(x, y, verbose=0, callbacks=[LambdaCallback(on_batch_end=forbidden)])


def test_callbacks_that_would_never_be_called():
    class Tester(Callback):
        def on_test_end(self, logs=None):
            pass

    model = lstm.Sequential([lstm.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match=r"Tester\.on_test_end"):
        model.fit([[1]], [1], verbose=0, callbacks=[Tester()])
    for arguments in ({"on_epoch_ended": print}, {"set_model": print}):
        with pytest.raises(TypeError, match=r"LambdaCallback.*unexpected"):
            LambdaCallback(**arguments)


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import lstm
from lstm.layers import LSTM, Dense

x = np.random.default_rng(0).normal(size=(4000, 20, 4)).astype(np.float32)
model = lstm.Sequential([LSTM(16), Dense(1)])
model.compile("adam", "mse")
model.build(x.shape)
before = model.get_weights()
sent = []

def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(0.3, interrupt).start()
try:
    model.fit(x, x[:, 0, :1], epochs=100000, verbose=VERBOSE)
except KeyboardInterrupt:
    late = time.monotonic() - sent[0]
    changed = not np.array_equal(before[0], model.get_weights()[0])
    finite = all(np.isfinite(weight).all() for weight in model.get_weights())
    print("interrupted", late < 1, changed, finite)
    model.fit(x[:64], x[:64, 0, :1], verbose=0)
    print("goes on")
"""


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_ctrl_c(verbose):
    code = INTERRUPTED.replace("VERBOSE", str(verbose))
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("interrupted True True True\ngoes on\n"), done.stdout + done.stderr
    assert done.stderr == ""


def test_a_signal_handler_that_raises():
    """Its own exception comes out, as from any Python code."""
    code = textwrap.dedent(INTERRUPTED.replace("VERBOSE", "0"))
    code = code.replace("sent = []", "sent = []\ndef handler(*_):\n    raise TimeoutError('late')\n")
    code = code.replace("os.kill(os.getpid(), signal.SIGINT)", "os.kill(os.getpid(), signal.SIGALRM)")
    code = code.replace("threading.Timer", "signal.signal(signal.SIGALRM, handler)\nthreading.Timer")
    code = code.replace("except KeyboardInterrupt", "except TimeoutError")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("interrupted True True True\ngoes on\n", "")
