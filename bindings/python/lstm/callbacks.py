"""Callbacks with Keras's names. One may read, predict with and save the model, and set `model.learning_rate`; it sets
`model.stop_training` to stop.

An exception raised in a callback stops training and comes out of `fit` unchanged.
"""

from __future__ import annotations

import csv
import os
import weakref
from typing import TYPE_CHECKING, Any, Callable, Union

from ._library import LSTM_MODE_AUTO, LSTM_MODE_MAX, LSTM_MODE_MIN
from ._spec import real, refuse, whole
from .errors import UnsupportedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .models import Model

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
]

Logs = dict[str, float]
Path = Union[str, "os.PathLike[str]"]


class Callback:
    """Base of all callbacks. `logs` are the loss and metrics of the epoch so far, `epoch` and `batch` count from 0."""

    model: Model
    params: dict[str, Any]

    def set_model(self, model: Model) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None: ...

    def on_train_end(self, logs: Logs | None = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.on_batch_end(batch, logs)

    def __repr__(self) -> str:
        shown = {
            name: value for name, value in vars(self).items() if name not in ("model", "params") and name[0] != "_"
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class History(Callback):
    """What `fit` returns: `history[column]` is a list with one number an epoch, `epoch` the epochs' numbers."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params = {}

    @property
    def model(self) -> Model:
        """The model that was trained. ReferenceError: it is no more; a history does not keep it alive."""
        model = self._model()
        if model is None:
            raise ReferenceError("the model of this history is no more")
        return model

    @model.setter
    def model(self, model: Model) -> None:
        self._model = weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_model"}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, path: Path | None = None) -> Figure:
        """Draws every column over the epochs, a panel for each with its validation; saved to `path` if given.

        ImportError: there is no matplotlib.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("History.plot() needs matplotlib: pip install matplotlib") from None
        names = [name for name in self.history if not name.startswith("val_")]
        figure = Figure(figsize=(4.5 * max(1, len(names)), 3.5), layout="constrained")
        for index, name in enumerate(names, 1):
            axes = figure.add_subplot(1, len(names), index, title=name, xlabel="epoch")
            for column, label in ((name, "training"), (f"val_{name}", "validation")):
                if column in self.history:
                    axes.plot([epoch + 1 for epoch in self.epoch], self.history[column], marker=".", label=label)
            axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"


class LambdaCallback(Callback):
    """A callback made of functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))`."""

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        """TypeError: a name that is no method of Callback."""
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback() got an unexpected keyword argument {name!r}")
            if function is not None:
                setattr(self, name, function)


class CSVLogger(Callback):
    """Writes one row an epoch to a file: the epoch, then the columns of the history."""

    def __init__(self, filename: Path, separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = filename, separator, append

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.append:
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        with open(self.filename, "a", newline="") as file:
            writer = csv.DictWriter(file, list(row), delimiter=self.separator)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)


class EarlyStopping(Callback):
    """Stops when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    With `restore_best_weights` training ends, whatever ended it, with the weights of the best epoch. `stopped_epoch` is
    the epoch after which training was stopped, 0 if it was not. One instance at most in a `fit`.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        refuse("EarlyStopping", {"baseline": baseline}, {"baseline": (None,)})
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.min_delta = abs(real("EarlyStopping: min_delta", min_delta))
        self.patience = whole("EarlyStopping: patience", patience)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole("EarlyStopping: start_from_epoch", start_from_epoch)
        self.stopped_epoch = 0
        monitor_mode(mode)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.stopped_epoch = 0


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch to `schedule(epoch, learning_rate)`."""

    def __init__(self, schedule: Callable[[int, float], float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.model.learning_rate = rate = self.schedule(epoch, self.model.learning_rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {rate:.6g}")


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    After that it waits `cooldown` epochs. What it has seen is part of the model's training state: a later `fit` goes on
    with it, also after `save` and `load_model`. One instance at most in a `fit`.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.factor = real("ReduceLROnPlateau: factor", factor)
        self.patience = whole("ReduceLROnPlateau: patience", patience)
        self.cooldown = whole("ReduceLROnPlateau: cooldown", cooldown)
        self.min_delta = abs(real("ReduceLROnPlateau: min_delta", min_delta))
        self.min_lr = real("ReduceLROnPlateau: min_lr", min_lr)
        self._rate = 0.0
        monitor_mode(mode)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._rate = self.model.learning_rate

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        rate = self.model.learning_rate
        if self.verbose and rate < self._rate:
            print(f"Epoch {epoch + 1}: learning rate reduced to {rate:.6g}")


class BackupAndRestore(Callback):
    """Saves the training every epoch, or every `save_freq` batches, so that `fit` goes on where a killed one was.

    The file stands in the folder `backup_dir`. The same `fit` with the same data, called again in a new process, takes
    it up, in the middle of an epoch too, and ends with the bits of one that was not killed; then the file is deleted.
    """

    def __init__(self, backup_dir: Path, save_freq: str | int = "epoch", delete_checkpoint: bool = True) -> None:
        self.backup_dir, self.delete_checkpoint = os.fspath(backup_dir), delete_checkpoint
        self.save_freq = save_freq if save_freq == "epoch" else whole("BackupAndRestore: save_freq", save_freq, 1)
        self.path = os.path.join(self.backup_dir, "training.safetensors")
        self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self.save_freq != "epoch" and self._batches % int(self.save_freq) == 0:
            self.model.save(self.path)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.model.save(self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint and os.path.exists(self.path):
            os.remove(self.path)


class ModelCheckpoint(Callback):
    """Saves the model after every epoch, or after every `save_freq` batches, or when `monitor` is the best so far.

    A file of the middle of an epoch goes on from there by `load_model(path).fit(..., resume=True)`.
    `filepath` may hold "{epoch}", counted from 1, and the columns of the history, as "{val_loss:.2f}".
    """

    def __init__(
        self,
        filepath: Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        self.filepath, self.monitor, self.verbose, self.mode = os.fspath(filepath), monitor, verbose, mode
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq if save_freq == "epoch" else whole("ModelCheckpoint: save_freq", save_freq, 1)
        if save_best_only and save_freq != "epoch":
            raise UnsupportedError(f"ModelCheckpoint: save_best_only needs save_freq='epoch', got {save_freq!r}")
        self.best = initial_value_threshold
        self._largest = _largest_is_best(monitor, mode)
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self.save_freq != "epoch" and self._batches % int(self.save_freq) == 0:
            self._save(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if self.save_freq != "epoch":
            return
        if self.save_best_only:
            if self.monitor not in logs:
                raise ValueError(f"ModelCheckpoint: monitor {self.monitor!r} is none of {', '.join(logs)}")
            value = logs[self.monitor]
            if self.best is not None and not (value > self.best if self._largest else value < self.best):
                return
            self.best = value
        self._save(logs)

    def _save(self, logs: Logs) -> None:
        try:
            path = self.filepath.format(epoch=self._epoch + 1, **logs)
        except KeyError as error:
            raise ValueError(
                f"ModelCheckpoint: {error} in filepath {self.filepath!r} is none of {', '.join(logs)}"
            ) from None
        self.model.save(path, save_weights_only=self.save_weights_only)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saved {path}")


def monitor_mode(mode: str) -> int:
    """C's number of "auto", "min" or "max". ValueError: anything else."""
    modes = {"auto": LSTM_MODE_AUTO, "min": LSTM_MODE_MIN, "max": LSTM_MODE_MAX}
    if mode not in modes:
        raise ValueError(f"mode: expected 'auto', 'min' or 'max', got {mode!r}")
    return modes[mode]


def _largest_is_best(monitor: str, mode: str) -> bool:
    number = monitor_mode(mode)
    names = ("accuracy", "precision", "recall", "auc")
    return number == LSTM_MODE_MAX or (number == LSTM_MODE_AUTO and monitor.endswith(names))
