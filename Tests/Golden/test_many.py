"""Models with several inputs and outputs, and states that go from layer to layer, against Keras in float64."""

import ctypes

import driver
import numpy as np
import pytest
from test_goldens import (
    CASES,
    FORWARD,
    GRADIENT,
    KERNELS,
    LOSS,
    METRIC,
    check,  # noqa: F401  (a fixture)
    check_weights,
    created,
)


def cases(needed):
    chosen = [(group, case) for group, case in CASES if needed in case]
    assert chosen
    with_case = pytest.mark.parametrize(
        "group, case", chosen, ids=[f"{group}: {case['name']}" for group, case in chosen]
    )
    return lambda test: pytest.mark.parametrize("kernels", KERNELS)(with_case(test))


def pointers(arrays):
    made = (ctypes.c_void_p * len(arrays))(*(None if array is None else ctypes.addressof(array) for array in arrays))
    made.kept = arrays
    return made


def outputs_of(case):
    return case["description"].get("outputs", [case["description"]["layers"][-1]["name"]])


def data(case, rows=slice(None), targets=True):
    """The case's batch as an lstm_data, with values over the padding that would show if they were read."""
    batch, xs = case["batch"], []
    for one in case["description"]["inputs"]:
        name = one["name"]
        x = batch["x"][name].copy()
        given = {kind: batch[kind][name] for kind in ("mask", "lengths") if name in batch.get(kind, {})}
        valid = given["mask"].astype(bool) if "mask" in given else None
        if "lengths" in given:
            valid = np.arange(x.shape[1]) < given["lengths"][:, None]
        if valid is not None:
            x[~valid] = -7 if x.ndim == 2 else np.nan
        given = {kind: np.ascontiguousarray(values[rows]) for kind, values in given.items()}
        xs.append(driver.borrowed(np.ascontiguousarray(x[rows]), **given))
    names = outputs_of(case)
    made = driver.Data(ctypes.sizeof(driver.Data), len(xs), len(names) if targets else 0)
    made.kept = [pointers(xs)]
    made.x = ctypes.addressof(made.kept[0])
    if targets:
        weights = batch.get("weights", {})
        made.kept.append(pointers([driver.borrowed(batch["y"][name]) for name in names]))
        made.kept.append(pointers([driver.borrowed(weights[name]) if name in weights else None for name in names]))
        made.y = ctypes.addressof(made.kept[1])
        made.weights = ctypes.addressof(made.kept[2]) if weights else None
    return made


def predicted(case, model, rows=slice(None), **options):
    """{output: values}"""
    given, names, made = data(case, rows, targets=False), outputs_of(case), []
    for output in range(len(names)):
        shape, rank = (ctypes.c_int64 * 8)(), ctypes.c_uint32()
        driver.call("output_shape_many", model.handle, ctypes.byref(given), output, shape, ctypes.byref(rank))
        made.append(tuple(shape[: rank.value]))
    values, out = driver.floats(sum(int(np.prod(shape)) for shape in made))
    driver.call("predict_many", model.handle, ctypes.byref(given), ctypes.byref(driver.options(**options)), *out)
    ends = np.cumsum([int(np.prod(shape)) for shape in made])[:-1]
    return {name: part.reshape(shape) for name, part, shape in zip(names, np.split(values, ends), made, strict=True)}


def run(function, model, case, options, rows=1):
    values, history = np.zeros((rows, driver.MAX_COLUMNS)), driver.History()
    driver.call("history_init", ctypes.byref(history), ctypes.sizeof(history), values.ctypes.data, rows)
    given = data(case)
    driver.call(function, model.handle, ctypes.byref(given), ctypes.byref(options), ctypes.byref(history))
    return {history.names[column].decode(): values[:, column] for column in range(history.columns)}


def is_counted(case, name, values):
    """Of an output for each timestep, which are no padding of any input: the others are not compared."""
    batch, valid = case["batch"], None
    for kind in ("mask", "lengths"):
        for given in batch.get(kind, {}).values():
            mask = given.astype(bool) if kind == "mask" else np.arange(values.shape[1]) < given[:, None]
            if mask.shape != values.shape[:2]:
                continue
            valid = mask if valid is None else valid & mask
    return values if values.ndim < 3 or valid is None else values[valid]


@cases("outputs")
def test_forward(case, kernels, group, check):  # noqa: F811
    model = created(case, kernels)
    for name, values in predicted(case, model).items():
        expected = case["outputs"][name]
        assert values.shape == expected.shape
        check("forward", is_counted(case, name, values), is_counted(case, name, expected), FORWARD)


@cases("outputs")
def test_rows_alone_give_the_same_bits(case, kernels, group):
    model = created(case, kernels)
    together = predicted(case, model)
    apart = predicted(case, model, batch_size=2, threads=2)
    for name, values in together.items():
        assert values.tobytes() == apart[name].tobytes()
        for row in range(len(values)):
            assert predicted(case, model, slice(row, row + 1))[name].tobytes() == values[row].tobytes()


@cases("steps")
def test_training(case, kernels, group, check):  # noqa: F811
    model = created(case, kernels)
    trainer, given = driver.Trainer(model), data(case)
    for step, expected in enumerate(case["steps"]):
        loss = ctypes.c_double()
        driver.call("trainer_step_many", trainer.handle, ctypes.byref(given), ctypes.byref(loss))
        check("loss", loss.value, expected, LOSS, abs(expected))
        if step == 0:
            for name, gradient in case["first_gradient"].items():
                check("gradient", trainer.gradient(name, gradient.shape), gradient, GRADIENT, np.max(np.abs(gradient)))
    check_weights(check, model, case, case["trained"], len(case["steps"]))


@cases("figures")
def test_evaluate(case, kernels, group, check):  # noqa: F811
    options = driver.options(batch_size=case["figures"]["batch_size"])
    columns = run("evaluate_many", created(case, kernels), case, options)
    assert sorted(columns) == sorted(case["figures"]["columns"])
    for name, expected in case["figures"]["columns"].items():
        check("metric", columns[name][0], expected, METRIC)


@cases("epochs")
def test_fit(case, kernels, group, check):  # noqa: F811
    fit, model = case["epochs"], created(case, kernels)
    fields = {key: fit[key] for key in ("epochs", "batch_size", "validation_split") if key in fit}
    columns = run("train_many", model, case, driver.options(shuffle=0, **fields), fit["epochs"])
    assert sorted(columns) == sorted(fit["history"])
    for name, expected in fit["history"].items():
        check("epochs", columns[name], np.asarray(expected), LOSS)
    check_weights(check, model, case, fit["final"], fit["epochs"] * 3)
