"""Gates, states, attention weights and gradients of inputs against PyTorch in float64, and norms of gradients."""

import ctypes
from ctypes import byref

import driver
import numpy as np
from test_goldens import (
    FORWARD,
    GRADIENT,
    cases,
    check,  # noqa: F401  (a fixture)
    created,
    inputs,
    targets,
)


def shaped(function, *arguments):
    shape, rank = (ctypes.c_int64 * driver.MAX_RANK)(), ctypes.c_uint32()
    driver.call(function, *arguments, shape, byref(rank), None, 0, None)
    made = tuple(shape[: rank.value])
    values, out = driver.floats(int(np.prod(made)))
    driver.call(function, *arguments, None, None, *out)
    return values.reshape(made)


@cases("inside")
def test_inside(case, kernels, group, check):  # noqa: F811
    model, x = created(case, kernels), inputs(case["batch"])
    name = case["description"]["layers"][0]["name"].encode()
    for what, expected in case["inside"].items():
        found = shaped("inspect", model.handle, byref(x), name, what.encode())
        check(what.split("_")[-1], found, expected, FORWARD)
        assert not found[expected == 0].any()


@cases("saliency")
def test_saliency(case, kernels, group, check):  # noqa: F811
    model, x, expected = created(case, kernels), inputs(case["batch"]), case["saliency"]
    for kind, points in (("gradient", 0), ("integrated", expected["points"])):
        found = shaped("saliency", model.handle, byref(x), case["output_number"], points)
        check(kind, found, expected[kind], GRADIENT, np.max(np.abs(expected[kind])))


def is_unclipped(case):
    optimizer = case["description"]["training"]["optimizer"]
    return isinstance(optimizer, str) or not any("clip" in field for field in optimizer)


@cases("final", where=lambda case: "gradient" in case and is_unclipped(case))
def test_norms_are_those_of_the_gradients(case, kernels, group, check):  # noqa: F811
    """By numpy from the golden gradients, which are those after clipping: none here."""
    model, batch = created(case, kernels), case["batches"][0]
    trainer, (y, weights) = driver.Trainer(model), targets(batch)
    trainer.step(inputs(batch), y, weights)
    names = list(model.parameters())
    norms = np.empty(len(names))
    driver.call("trainer_gradient_norms", trainer.handle, norms.ctypes.data, norms.size, None)
    for name, gradient in case["gradient"].items():
        expected = np.linalg.norm(gradient.astype(np.float64))
        check("norm", norms[names.index(name)], expected, GRADIENT, expected)
