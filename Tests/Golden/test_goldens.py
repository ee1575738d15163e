"""The library against Keras and PyTorch in float64 (data/, see README.md), with each set of kernels that runs here."""

import pathlib

import driver
import golden_file
import numpy as np
import pytest

DATA = pathlib.Path(__file__).parent / "data"
CASES = [(path.stem, case) for path in sorted(DATA.glob("*.npz")) for case in golden_file.load(path)]

FORWARD = 2e-6  # absolute, and relative for values above 1
GRADIENT = 1e-5  # relative to the largest entry of that gradient
LOSS = 1e-5  # relative
METRIC = 1e-6  # absolute, and relative for values above 1
# Relative to the farthest that a value of that parameter went in training, after taking off what each step rounds. Ten
# steps add up ten errors of the gradient, and those of rmsprop, adam and adagrad are gradients divided by their own
# size: where one is a hundredth of the largest, a hundred times the relative error goes into a step of the same length.
WEIGHTS = 2e-5


def supported_kernels():
    supported = []
    for name in ("baseline", "avx2", "avx512", "neon"):
        try:
            driver.call("use_kernels", name.encode())
            supported.append(name)
        except driver.LibraryError as error:
            assert error.args[0] == driver.UNSUPPORTED
    return supported


KERNELS = supported_kernels()


def cases(needed, where=lambda case: True):
    """Parametrises a test over the cases that hold the needed entry, and of which `where` is true, with all kernels."""
    chosen = [(group, case) for group, case in CASES if needed in case and where(case)]
    assert chosen
    with_kernels = pytest.mark.parametrize("kernels", KERNELS)
    with_case = pytest.mark.parametrize(
        "group, case", chosen, ids=[f"{group}: {case['name']}" for group, case in chosen]
    )
    return lambda test: with_kernels(with_case(test))


@pytest.fixture
def check(errors, group):
    """Fails if any |ours - expected|, less `slack` and divided by `scale`, is above the limit. Keeps the largest."""

    def compare(quantity, ours, expected, limit, scale=None, slack=0):
        ours, expected = np.asarray(ours, np.float64), np.asarray(expected, np.float64)
        assert ours.shape == expected.shape
        scale = np.maximum(np.abs(expected), 1) if scale is None else scale
        difference = np.maximum(np.abs(ours - expected) - slack, 0)
        # Where the expected values are all zero, so must be ours.
        error = float(np.max(np.divide(difference, scale, out=np.where(difference == 0, 0, np.inf), where=scale != 0)))
        worst = errors.get((group, quantity), (0, 0))
        errors[group, quantity] = (max(error, worst[0]), max(limit, worst[1]))
        assert error <= limit, f"{quantity}: error {error:.3e}, limit {limit:.0e}"

    return compare


def created(case, kernels):
    driver.call("use_kernels", kernels.encode())
    model = driver.Model(case["description"])
    for name, values in case["initial"].items():
        model.set_parameter(name, values)
    return model


def valid_steps(batch):
    """[B, T]: which steps are no padding; None where nothing says so."""
    if "lengths" in batch:
        return np.arange(batch["x"].shape[1]) < batch["lengths"][:, None]
    return batch["mask"].astype(bool) if "mask" in batch else None


def inputs(batch, rows=slice(None)):
    """The x of a batch as the library takes it, with values over the padding that would show if they were read."""
    x, valid = batch["x"].copy(), valid_steps(batch)
    if valid is not None:
        x[~valid] = -7 if x.ndim == 2 else np.nan
    given = {key: np.ascontiguousarray(batch[key][rows]) for key in ("mask", "lengths") if key in batch}
    return driver.borrowed(np.ascontiguousarray(x[rows]), **given)


def targets(batch):
    return driver.borrowed(batch["y"], lengths=batch.get("y_lengths")), driver.borrowed(
        batch["weights"]
    ) if "weights" in batch else None


def same_bits(ours, expected):
    assert ours.tobytes() == np.ascontiguousarray(expected).tobytes()


def check_weights(check, model, case, final, steps):
    weights = model.parameters()
    for name, expected in final.items():
        farthest = np.max(np.abs(expected.astype(np.float64) - case["initial"][name]))
        # The weights are float32: each step rounds them by up to half a unit in the last place.
        rounding = steps / 2 * np.finfo(np.float32).eps * np.max(np.abs(expected))
        check("weights", weights[name], expected, WEIGHTS, farthest, rounding)


def test_every_kernel_set_of_the_processor_is_there():
    flags = pathlib.Path("/proc/cpuinfo").read_text() if pathlib.Path("/proc/cpuinfo").exists() else ""
    flags = set(next((line for line in flags.splitlines() if line.startswith("flags")), "").split())
    assert "baseline" in KERNELS
    assert ("avx2" in KERNELS) == ({"avx2", "fma"} <= flags)
    assert ("avx512" in KERNELS) <= ("avx512f" in flags)
    assert ("avx512" in KERNELS) >= ({"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags)


@cases("output")
def test_forward(case, kernels, group, check):
    batch = case["batches"][0]
    output, expected = created(case, kernels).predict(inputs(batch)), case["output"]
    assert output.shape == expected.shape
    if case["valid_outputs"] and output.ndim > 2:
        valid = batch["x"] != 0 if case["description"]["layers"][0].get("mask_zero") else valid_steps(batch)
        output, expected = output[valid], expected[valid]
    check("forward", output, expected, FORWARD)


@cases("output")
def test_rows_alone_give_the_same_bits(case, kernels, group):
    batch, model = case["batches"][0], created(case, kernels)
    together = model.predict(inputs(batch))
    same_bits(model.predict(inputs(batch), driver.options(batch_size=2)), together)
    for row in range(len(together)):
        same_bits(model.predict(inputs(batch, slice(row, row + 1))), together[row])


def reads_sequences(case):
    return case["description"]["layers"][0]["type"] == "embedding" or case["batches"][0]["x"].ndim == 3


def needs_future(case):
    """Whether a layer goes backwards, finds the best of whole sequences or attends to what is not within a window."""
    return any(
        layer.get("go_backwards")
        or layer["type"] in ("bidirectional", "crf")
        or (layer["type"].endswith("attention") or layer["type"].startswith("transformer"))
        and "window" not in layer
        for layer in case["description"]["layers"]
    )


def needs_all_steps(case):
    return needs_future(case) or any(map(mixes_steps, case["description"]["layers"]))


def mixes_steps(layer):
    """Whether an output needs what comes after it, or there are others than one for each step."""
    if layer["type"] == "conv1d" and layer["kernel_size"] > 1:
        return layer.get("padding") != "causal" or layer.get("strides", 1) > 1
    whole = ("max_pooling", "average_pooling", "cropping", "zero_padding", "repeat_vector", "flatten")
    whole += ("group_normalization",)
    return layer["type"] in whole or (layer["type"], layer.get("axis")) == ("slice", "time")


@cases("output", lambda case: reads_sequences(case) and needs_all_steps(case))
def test_what_needs_all_steps_cannot_stream(case, kernels, group):
    with pytest.raises(driver.LibraryError) as error:
        driver.stream(created(case, kernels), case["batches"][0]["x"][0])
    assert error.value.args[0] == driver.UNSUPPORTED


@cases("output", lambda case: reads_sequences(case) and not needs_all_steps(case))
def test_streaming_gives_the_same_bits(case, kernels, group):
    batch, model = case["batches"][0], created(case, kernels)
    together, valid = model.predict(inputs(batch)), valid_steps(batch)
    for row, steps in enumerate(batch["x"]):
        arrived = np.ones(len(steps), bool) if valid is None else valid[row]
        if arrived.any():
            streamed = driver.stream(model, steps[arrived])
            same_bits(*((streamed, together[row][arrived]) if together.ndim == 3 else (streamed[-1], together[row])))


@cases("losses")
def test_training(case, kernels, group, check):
    model, batches = created(case, kernels), case["batches"]
    trainer = driver.Trainer(model)
    for step, expected in enumerate(case["losses"]):
        batch = batches[step % len(batches)]
        loss = trainer.step(inputs(batch), *targets(batch))
        check("loss", loss, expected, LOSS, abs(expected))
        if step == 0:
            for name, gradient in case.get("gradient", {}).items():
                largest = np.max(np.abs(gradient))
                check("gradient", trainer.gradient(name, gradient.shape), gradient, GRADIENT, largest)
    if "final" in case:
        check_weights(check, model, case, case["final"], len(case["losses"]))
    if "average" in case:
        trainer.free()
        model.serve_average()
        check_weights(check, model, case, case["average"], len(case["losses"]))


@cases("gradient", lambda case: case["batches"][0]["y"].shape == case["output"].shape and case["output"].shape[-1] == 1)
def test_the_last_axis_of_targets_may_be_left_out(case, kernels, group):
    batch = case["batches"][0]
    weights = targets(batch)[1]
    whole = driver.Trainer(created(case, kernels)).step(inputs(batch), driver.borrowed(batch["y"]), weights)
    short = driver.Trainer(created(case, kernels)).step(
        inputs(batch), driver.borrowed(batch["y"][..., 0].copy()), weights
    )
    assert whole == short


@cases("evaluate")
def test_evaluate(case, kernels, group, check):
    batch, expected = case["batches"][0], case["evaluate"]
    y, weights = targets(batch)
    options = driver.options(weights, expected.get("class_weights"), batch_size=expected["batch_size"])
    columns = created(case, kernels).run("evaluate", inputs(batch), y, options)
    assert set(columns) == set(expected["columns"])
    for name, value in expected["columns"].items():
        check("metrics", columns[name][0], value, METRIC)


@cases("confusion")
def test_confusion(case, kernels, group):
    batch, expected = case["batches"][0], case["confusion"]
    counts = created(case, kernels).confusion(
        inputs(batch), targets(batch)[0], len(expected), driver.options(batch_size=4)
    )
    assert (counts == expected).all()


@cases("fit")
def test_epochs(case, kernels, group, check):
    batch, fit, model = case["batches"][0], case["fit"], created(case, kernels)
    y, weights = targets(batch)
    fields = {key: fit[key] for key in ("batch_size", "epochs", "validation_split") if key in fit}
    options = driver.options(weights, fit.get("class_weights"), shuffle=0, **fields)
    columns = model.run("train", inputs(batch), y, options, rows=fit["epochs"])
    assert set(columns) == set(fit["history"])
    for name, values in fit["history"].items():
        check("epochs", columns[name], values, LOSS)
    samples = len(batch["x"]) * (1 - fit.get("validation_split", 0))
    check_weights(check, model, case, fit["final"], fit["epochs"] * samples / fit["batch_size"])
