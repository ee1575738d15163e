"""Callbacks, their order and errors, Ctrl-C, the history and its plot, and what the terminal shows."""

import csv
import io
import os
import pickle
import re
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
from conftest import PACKAGE, same_weights

import lstm
from lstm import UnsupportedError, _progress, callbacks
from lstm.callbacks import Callback, CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint


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


def test_checkpoint_every_epoch(regressor, regression, tmp_path, capsys):
    save = ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.3f}", verbose=1)
    history = regressor.fit(*regression, epochs=3, verbose=0, callbacks=[save], validation_split=0.2)
    names = [f"{epoch + 1:02d}-{loss:.3f}" for epoch, loss in enumerate(history.history["val_loss"])]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert same_weights(lstm.load_model(tmp_path / names[-1]), regressor)
    assert capsys.readouterr().out.splitlines()[0] == f"Epoch 1: saved {tmp_path / names[0]}"


@pytest.mark.parametrize(("mode", "pick"), [("min", min), ("max", max), ("auto", min)])
def test_checkpoint_of_the_best(regressor, regression, tmp_path, mode, pick):
    save = ModelCheckpoint(tmp_path / "{epoch}", "val_loss", save_best_only=True, mode=mode)
    values = regressor.fit(*regression, 8, 6, 0, [save], 0.3).history["val_loss"]
    expected = {str(epoch + 1) for epoch in range(6) if values[epoch] == pick(values[: epoch + 1])}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert save.best == pick(values)


def test_checkpoint_of_the_best_accuracy_is_the_largest():
    assert ModelCheckpoint("x", "val_accuracy", save_best_only=True)._largest
    assert not ModelCheckpoint("x", "val_loss", save_best_only=True)._largest
    assert not ModelCheckpoint("x", "val_accuracy", save_best_only=True, mode="min")._largest


def test_checkpoint_options(regressor, regression, tmp_path):
    save = ModelCheckpoint(tmp_path / "{epoch}-{loss:.9f}", save_freq=3)
    regressor.fit(*regression, 8, 3, 0, [save])  # 15 batches
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["1", "2", "2", "3", "3"]
    small, whole = tmp_path / "small", tmp_path / "whole"
    regressor.fit(
        *regression, verbose=0, callbacks=[ModelCheckpoint(small, save_weights_only=True), ModelCheckpoint(whole)]
    )
    assert small.stat().st_size < whole.stat().st_size
    unreached = ModelCheckpoint(tmp_path / "never", "loss", save_best_only=True, initial_value_threshold=-1.0)
    regressor.fit(*regression, verbose=0, callbacks=[unreached])
    assert not (tmp_path / "never").exists()


def test_checkpoint_errors(regressor, regression, tmp_path):
    for path, options, error, message in (
        ("{los}", {}, ValueError, "'los' in filepath .*none of loss, mae"),
        ("x", {"monitor": "val_los", "save_best_only": True}, ValueError, "monitor 'val_los' is none of loss, mae"),
        ("no/folder", {}, OSError, "no/folder"),
    ):
        with pytest.raises(error, match=message):
            regressor.fit(*regression, verbose=0, callbacks=[ModelCheckpoint(tmp_path / path, **options)])
    for options, error in (
        ({"mode": "best"}, ValueError),
        ({"save_freq": 0}, ValueError),
        ({"save_freq": "batch"}, TypeError),
        ({"save_freq": 2, "save_best_only": True}, UnsupportedError),
    ):
        with pytest.raises(error):
            ModelCheckpoint("x", **options)


def test_early_stopping_arguments(capsys, regressor, regression):
    for options, error, message in (
        ({"baseline": 0.5}, UnsupportedError, "EarlyStopping: baseline.*0.5"),
        ({"patience": -1}, ValueError, "EarlyStopping: patience: .*-1"),
        ({"patience": 1.5}, TypeError, "EarlyStopping: patience: .*1.5"),
        ({"min_delta": "a"}, TypeError, "EarlyStopping: min_delta: .*'a'"),
        ({"mode": "least"}, ValueError, "mode: .*'least'"),
        ({"start_from_epoch": -1}, ValueError, "start_from_epoch"),
    ):
        with pytest.raises(error, match=message):
            EarlyStopping(**options)
    stop = EarlyStopping("loss", verbose=1, mode="max")
    history = regressor.fit(*regression, epochs=20, verbose=0, callbacks=[stop])
    assert capsys.readouterr().out == f"Epoch {len(history.epoch)}: early stopping\n"
    assert repr(stop).startswith("EarlyStopping(monitor='loss', mode='max'")


def test_csv_logger(regressor, regression, tmp_path):
    path = tmp_path / "log.csv"
    history = regressor.fit(*regression, epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for name, values in history.history.items():
        assert [float(row[name]) for row in rows] == values
    more = CSVLogger(path, separator=",", append=True)
    regressor.fit(*regression, initial_epoch=2, epochs=3, verbose=0, callbacks=[more])
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1", "2"]
    regressor.fit(*regression, verbose=0, callbacks=[CSVLogger(path, separator=";")])
    assert path.read_text().splitlines()[0] == "epoch;loss;mae"
    with pytest.raises(OSError):
        regressor.fit(*regression, verbose=0, callbacks=[CSVLogger(tmp_path / "no" / "folder")])


def test_plot(regressor, regression, tmp_path):
    pytest.importorskip("matplotlib")
    history = regressor.fit(*regression, epochs=3, verbose=0, validation_split=0.2)
    path = tmp_path / "curve.png"
    figure = history.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    loss, mae = figure.axes
    assert (loss.get_title(), mae.get_title()) == ("loss", "mae")
    lines = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert lines == {"training": history.history["loss"], "validation": history.history["val_loss"]}
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"History.plot\(\) needs matplotlib: pip install matplotlib"):
        callbacks.History().plot()


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_bar_on_a_terminal(regressor, regression, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(_progress, "_INTERVAL", 0)
    regressor.fit(*regression, batch_size=8, epochs=2, validation_split=0.2)
    lines = sys.stdout.getvalue().split("\n")
    assert lines[2:] == [""]
    for epoch, line in enumerate(lines[:2], 1):
        drawings = line.split("\r")[1:]
        assert len(drawings) == 5  # four batches and the end
        seconds = r"\d+\.\ds  \d+ samples/s"
        pattern = rf"Epoch {epoch}/2  2/4 ━{{10}}─{{10}} {seconds}  loss \d+\.\d+ - mae \d+\.\d+ *"
        assert re.fullmatch(pattern, drawings[1]), drawings[1]
        pattern = rf"Epoch {epoch}/2  4/4 ━{{20}} {seconds}  loss .* - mae .* - val_loss .* - val_mae \d+\.\d+ *"
        assert re.fullmatch(pattern, drawings[4]), drawings[4]


def test_a_bar_fits_the_terminal(regressor, regression, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(_progress, "_INTERVAL", 0)
    regressor.fit(*regression, batch_size=8)
    assert all(len(part) < 40 for line in sys.stdout.getvalue().split("\n") for part in line.split("\r"))


def test_a_bar_in_ascii(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert _progress.Progress(1, 3)._marks == "=-"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert _progress.Progress(1, 3)._marks == "━─"


def test_a_line_an_epoch_elsewhere(regressor, regression, capsys):
    regressor.fit(*regression, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"Epoch 1/2  \d+\.\ds  \d+ samples/s  loss \d+\.\d{4} - mae \d+\.\d{4}", lines[0])
    regressor.fit(*regression, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_left_in_the_middle_ends_its_line(regressor, regression, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(_progress, "_INTERVAL", 0)

    def fail(batch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        regressor.fit(*regression, verbose=1, callbacks=[LambdaCallback(on_batch_end=fail)])
    assert sys.stdout.getvalue().endswith("\n")


def test_a_history_is_data(regressor, regression):
    history = regressor.fit(*regression, epochs=2, verbose=0)
    copied = pickle.loads(pickle.dumps(history))
    assert (copied.history, copied.epoch, copied.params) == (history.history, history.epoch, history.params)


def test_a_model_is_freed_when_nothing_refers_to_it(regression):
    model = lstm.Sequential([lstm.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(regression[0][:, 0], regression[1], verbose=0)
    handle = weakref.ref(model.handle)
    del model
    assert handle() is None  # at once, without a garbage collection
    with pytest.raises(ReferenceError, match="no more"):
        _ = history.model
