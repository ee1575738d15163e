"""The callbacks that the package brings, the history and its plot, and what the terminal shows."""

import csv
import io
import pickle
import re
import sys
import weakref

import pytest
from conftest import same_weights

import lstm
from lstm import UnsupportedError, _progress, callbacks
from lstm.callbacks import CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint


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
