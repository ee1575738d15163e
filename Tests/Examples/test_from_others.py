"""What docs/from-keras-and-pytorch.md says: names, what is refused, and weights that come over."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run

import lstm
from lstm import callbacks, constraints, layers, losses, metrics, optimizers, regularizers

PAGE = (ROOT / "docs/from-keras-and-pytorch.md").read_text()
KERAS, FUNCTIONS, TORCH = re.findall(r"^```python\n(import .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MODULES = [layers, losses, metrics, optimizers, optimizers.schedules, callbacks, regularizers, constraints, lstm]
BASES = {"Constraint", "Initializer", "InputSpec", "LearningRateSchedule", "Loss", "Metric", "Optimizer", "Regularizer"}


def names_of_keras() -> dict[str, set[str]]:
    """Of each module of Keras. Written by a program that imports it."""
    lines = Path(__file__).with_name("keras_names.txt").read_text().splitlines()[1:]
    return {module: set(names) for module, *names in map(str.split, lines)}


def table_rows() -> list[tuple[str, str, str]]:
    """(first cell of the table's head, first cell, last cell) of all rows of two columns."""
    rows, head = [], ""
    for line in PAGE.splitlines():
        cells = line.strip("|").split(" | ")
        if line.startswith("| ") and len(cells) == 2:
            if cells[1].strip() == "here":
                head = cells[0].strip()
            else:
                rows.append((head, cells[0].strip(), cells[1].strip()))
    return rows


def classes(cell: str) -> list[str]:
    return [name for code in re.findall(r"`([^`]+)`", cell) for name in re.findall(r"\b[A-Z]\w*[a-z]\w*\b", code)]


@pytest.mark.parametrize("module", names_of_keras())
def test_the_page_names_everything_of_keras(module):
    said = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert names_of_keras()[module] - said - BASES == set()


@pytest.mark.parametrize("module", ["layers", "losses", "metrics", "optimizers", "callbacks"])
def test_the_same_is_there(module):
    rows = [row for row in table_rows() if row[0] == f"`keras.{module}`" and row[2].startswith("the same")]
    found = {name for _, theirs, _ in rows for name in classes(theirs)}
    assert len(found) > 7 and found - vars(getattr(lstm, module)).keys() - vars(optimizers.schedules).keys() == set()


def test_names_of_this_library_exist():
    """What the right column and the lists name is a class of this library, or one of Keras that it says not to have."""
    here = [name for _, _, cell in table_rows() for name in classes(cell)]
    here += [name for text in re.findall(r"Here alone: (.*?)\.\n", PAGE) for name in classes(text)]
    known = {name for module in MODULES for name in vars(module)}.union(*names_of_keras().values())
    assert len(here) > 80 and set(here) - known == {"T_mult", "True"}


@pytest.mark.parametrize(
    "call",
    [
        "layers.LSTM(3, stateful=True)",
        "layers.Conv1D(3, 3, groups=2)",
        "layers.Conv1D(3, 3, data_format='channels_first')",
        "layers.Dense(3, kernel_initializer='he_normal')",
        "layers.Dense(3, activity_regularizer='l2')",
        "layers.LayerNormalization(axis=1)",
        "layers.Concatenate(axis=1)",
        "layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))",
        "losses.SparseCategoricalCrossentropy(ignore_class=0)",
        "losses.MeanSquaredError(reduction='sum')",
        "metrics.AUC(curve='PR')",
        "optimizers.Adam(loss_scale_factor=2.0)",
        "callbacks.EarlyStopping(baseline=1.0)",
        "lstm.Sequential([layers.Dense(1, input_shape=(2,))]).compile('sgd', 'mse', weighted_metrics=['mae'])",
        "lstm.Sequential([layers.Dense(1, input_shape=(2,))]).fit([[1, 2]], [1], validation_freq=2)",
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(lstm.UnsupportedError):
        eval(call)


# Weights


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def torch_lstm(state, x, end):
    """nn.LSTM by the equations of its documentation, for x [timesteps, inputs]."""
    w, u, b, v = (np.float64(state[f"{name}_{end}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    projection = state.get(f"weight_hr_{end}")
    h, c, outputs = np.zeros(u.shape[1]), np.zeros(u.shape[0] // 4), []
    for step in x:
        i, f, g, o = np.split(w @ step + b + u @ h + v, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        h = h if projection is None else projection @ h
        outputs.append(h)
    return np.array(outputs)


def torch_gru(state, x, end):
    w, u, b, v = (np.float64(state[f"{name}_{end}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, outputs = np.zeros(u.shape[1]), []
    for step in x:
        (r, z, n), (hr, hz, hn) = np.split(w @ step + b, 3), np.split(u @ h + v, 3)
        r, z = sigmoid(r + hr), sigmoid(z + hz)
        n = np.tanh(n + r * hn)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.array(outputs)


def torch_state(random, gates, inputs, units, ends=("l0",), projection=None):
    shapes = {"weight_ih": (gates * units, inputs), "weight_hh": (gates * units, projection or units)}
    shapes |= {"bias_ih": (gates * units,), "bias_hh": (gates * units,)}
    if projection:
        shapes["weight_hr"] = (projection, units)
    return {f"{name}_{end}": random.normal(size=shape, scale=0.5) for end in ends for name, shape in shapes.items()}


FROM = {}
exec(FUNCTIONS, FROM)


@pytest.mark.parametrize("projection", [None, 3])
def test_weights_of_an_lstm_of_pytorch(projection):
    random = np.random.default_rng(1)
    state, x = torch_state(random, 4, 5, 7, projection=projection), random.normal(size=(2, 9, 5))
    model = lstm.Sequential([lstm.Input((None, 5)), layers.LSTM(7, return_sequences=True, projection=projection)])
    model.set_weights(FROM["lstm_from_torch"](state))
    expected = np.array([torch_lstm(state, row, "l0") for row in x])
    np.testing.assert_allclose(model.predict(x), expected, atol=2e-6)


def test_weights_of_a_gru_of_pytorch_in_both_directions():
    random = np.random.default_rng(2)
    state, x = torch_state(random, 3, 5, 6, ("l0", "l0_reverse")), random.normal(size=(2, 9, 5))
    last = {"weight": random.normal(size=(2, 12)), "bias": random.normal(size=2)}
    pair = layers.Bidirectional(layers.GRU(6, return_sequences=True))
    model = lstm.Sequential([lstm.Input((None, 5)), pair, layers.Dense(2)])
    weights = [FROM["gru_from_torch"](state, end=end) for end in ("l0", "l0_reverse")]
    model.set_weights([*weights[0], *weights[1], *FROM["linear_from_torch"](last)])
    pairs = [(torch_gru(state, row, "l0"), torch_gru(state, row[::-1], "l0_reverse")[::-1]) for row in x]
    expected = np.array([np.concatenate(both, -1) @ last["weight"].T + last["bias"] for both in pairs])
    np.testing.assert_allclose(model.predict(x), expected, atol=3e-6)


def difference(output: str) -> float:
    match = re.search(r"differ by ([\d.e+-]+)", output)
    assert match, output
    return float(match[1])


def test_the_program_with_keras(tmp_path):
    pytest.importorskip("keras")
    assert difference(run(sys.executable, "-c", KERAS, folder=tmp_path)) < 2e-6


def test_the_program_with_pytorch(tmp_path):
    pytest.importorskip("torch")
    assert difference(run(sys.executable, "-c", FUNCTIONS + TORCH, folder=tmp_path)) < 2e-6
