"""fit and evaluate on generators, iterables and sequences of batches; resuming in the middle of an epoch."""

import numpy as np
import pytest
from conftest import same_weights

import lstm
from lstm import UnsupportedError
from lstm.callbacks import BackupAndRestore, LambdaCallback, ModelCheckpoint
from lstm.layers import LSTM, Dense


class Batches:
    """As keras.utils.Sequence."""

    def __init__(self, x, y, size=8):
        self.x, self.y, self.size, self.ends, self.asked = x, y, size, 0, []

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        self.asked.append(index)
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.ends += 1


class Loader:
    """An iterable that begins anew each time, as PyTorch's DataLoader."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return (self.batches[index] for index in range(len(self.batches)))


def endless(batches):
    while True:
        for index in range(len(batches)):
            yield batches[index]


def model():
    made = lstm.Sequential([LSTM(4, dropout=0.2, input_shape=(None, 3)), Dense(1)], seed=3)
    made.compile("adam", "mse", ["mae"])
    return made


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        (lambda data: Batches(*data), {"shuffle": False}),
        (lambda data: Loader(Batches(*data)), {}),
        (lambda data: endless(Batches(*data)), {"steps_per_epoch": 5}),
        (lambda data: Loader(Batches(*data)), {"steps_per_epoch": 5}),
    ],
)
def test_batches_are_as_arrays(regression, source, arguments):
    expected, made = model(), model()
    history = expected.fit(*regression, batch_size=8, epochs=3, verbose=0, shuffle=False, validation_data=regression)
    ours = made.fit(source(regression), epochs=3, verbose=0, validation_data=regression, **arguments)
    assert same_weights(made, expected)
    for name, values in history.history.items():
        # Validation is in batches of 32, not 8.
        assert ours.history[name] == (pytest.approx(values, rel=1e-6) if name.startswith("val_") else values)
    x, y = regression
    assert made.evaluate(Batches(x, y), verbose=0) == expected.evaluate(x, y, 8, 0)
    assert made.evaluate(endless(Batches(x, y)), steps=5, verbose=0) == expected.evaluate(x, y, 8, 0)


def test_sequences_are_shuffled_and_told_their_epochs(regression):
    data, made = Batches(*regression), model()
    made.fit(data, epochs=3, verbose=0)
    orders = [data.asked[start : start + 5] for start in (0, 5, 10)]
    assert all(sorted(order) == list(range(5)) for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert data.ends == 2
    again = Batches(*regression)
    model().fit(again, epochs=3, verbose=0)
    assert again.asked == data.asked


def test_weights_and_models_that_are_not_built(regression):
    x, y = regression
    weights = np.linspace(0, 2, len(x))
    made = [lstm.Sequential([LSTM(4), Dense(1)], seed=3) for _ in range(3)]
    for one in made:
        one.compile("sgd", "mse")
    made[0].fit(x, y, 20, 1, 0, shuffle=False, sample_weight=weights)
    batches = [(x[:20], y[:20], weights[:20]), (x[20:], y[20:], weights[20:])]
    made[1].fit((batch for batch in batches), verbose=0)
    made[2].fit(Loader(batches), verbose=0)
    assert same_weights(made[0], made[1])
    assert same_weights(made[0], made[2])


def test_errors_of_the_data_come_out(regression):
    def failing():
        yield regression
        raise ZeroDivisionError("no more")

    made, once = model(), model()
    with pytest.raises(ZeroDivisionError, match="no more"):
        made.fit(failing(), epochs=2, verbose=0)
    once.train_on_batch(*regression)
    assert same_weights(made, once)
    with pytest.raises(ZeroDivisionError):
        made.evaluate(failing(), verbose=0)

    class Short(Batches):
        def __getitem__(self, index):
            raise IndexError(index)

    with pytest.raises(IndexError):
        made.fit(Short(*regression), verbose=0)
    for data, error, message in (
        (iter([regression[0]]), ValueError, r"expected batches \(x, y\)"),
        (iter([(regression[0], "a")]), TypeError, "y: "),
        (iter([]), ValueError, "at least one batch"),
    ):
        with pytest.raises(error, match=message):
            made.fit(data, verbose=0)
    for arguments in (
        {"batch_size": 3},
        {"validation_split": 0.5},
        {"class_weight": {0: 1}},
        {"sample_weight": np.ones(3)},
        {"lengths": [1]},
    ):
        with pytest.raises(UnsupportedError, match=f"fit: {next(iter(arguments))} goes with arrays"):
            made.fit(Batches(*regression), verbose=0, **arguments)
    with pytest.raises(UnsupportedError, match="steps goes with"):
        made.evaluate(*regression, steps=3)


class Killed(Exception):
    pass


def kill_after(batches):
    seen = []

    def count(batch, logs):
        seen.append(batch)
        if len(seen) == batches:
            raise Killed

    return LambdaCallback(on_train_batch_end=count)


@pytest.mark.parametrize("kind", ["arrays", "sequence", "iterable"])
@pytest.mark.parametrize("killed", [2, 5, 7])
def test_resume_from_a_checkpoint(regression, tmp_path, kind, killed):
    def fit(made, **arguments):
        if kind == "arrays":
            return made.fit(*regression, batch_size=8, verbose=0, **arguments)
        data = Batches(*regression)
        return made.fit(data if kind == "sequence" else Loader(data), verbose=0, **arguments)

    whole, path = model(), tmp_path / "model"
    expected = fit(whole, epochs=3).history
    with pytest.raises(Killed):
        fit(model(), epochs=3, callbacks=[ModelCheckpoint(path, save_freq=1), kill_after(killed)])
    resumed, first = lstm.load_model(path), (killed - 1) // 5
    history = fit(resumed, epochs=3, initial_epoch=first, resume=True)
    assert same_weights(resumed, whole)
    assert history.epoch == list(range(first, 3))
    assert history.history == {name: values[first:] for name, values in expected.items()}


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_backup_and_restore(regression, tmp_path, save_freq):
    whole = model()
    expected = whole.fit(*regression, batch_size=8, epochs=3, verbose=0).history
    made, backup = model(), BackupAndRestore(tmp_path / "backup", save_freq)
    with pytest.raises(Killed):
        made.fit(*regression, batch_size=8, epochs=3, verbose=0, callbacks=[backup, kill_after(8)])
    again = model()
    backup = BackupAndRestore(tmp_path / "backup", save_freq)
    history = again.fit(*regression, batch_size=8, epochs=3, verbose=0, callbacks=[backup])
    assert same_weights(again, whole)
    assert history.history == {name: values[1:] for name, values in expected.items()}
    assert list((tmp_path / "backup").iterdir()) == []
    other = lstm.Sequential([LSTM(2, input_shape=(None, 3)), Dense(1)])
    other.compile("sgd", "mse")
    (tmp_path / "backup" / "training.safetensors").write_bytes(again.to_bytes())
    with pytest.raises(ValueError, match="another model"):
        other.fit(*regression, verbose=0, callbacks=[backup])


def test_resume_needs_the_same_data(regression):
    x, y = regression
    made = model()
    with pytest.raises(Killed):
        made.fit(x, y, batch_size=8, verbose=0, callbacks=[kill_after(3)])
    with pytest.raises(ValueError, match=r"resume: .*24 samples, got 10"):
        made.fit(x[:10], y[:10], verbose=0, resume=True)
