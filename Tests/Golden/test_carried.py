"""Truncated backpropagation through time against Keras's stateful layers and PyTorch: losses, weights, epochs."""

import driver
import numpy as np
import pytest
from test_goldens import LOSS, cases, check, check_weights, created  # noqa: F401  (check is a fixture)


def chunks(batch, size):
    x, y, lengths = batch["x"], batch["y"], batch.get("lengths")
    for first in range(0, x.shape[1], size):
        here = slice(first, first + size)
        steps = x[:, here].shape[1]
        own = None if lengths is None else np.clip(lengths - first, 0, steps)
        yield driver.borrowed(x[:, here], lengths=own), driver.borrowed(y[:, here])


def carrying(model, batch, size, epochs):
    """The losses of all chunks."""
    trainer, losses = driver.Trainer(model), []
    driver.call("trainer_carry", trainer.handle, 1)
    for _ in range(epochs):
        driver.call("trainer_reset_state", trainer.handle)
        losses += [trainer.step(x, y) for x, y in chunks(batch, size)]
    return losses


def fitted(model, batch, **fields):
    fields = {"batch_size": len(batch["x"]), "shuffle": 0, **fields}
    x, y = driver.borrowed(batch["x"], lengths=batch.get("lengths")), driver.borrowed(batch["y"])
    return model.run("train", x, y, driver.options(**fields), rows=fields["epochs"])


def same(a, b):
    return all(np.array_equal(values, b[name]) for name, values in a.items())


@cases("chunk")
def test_chunks(case, kernels, group, check):  # noqa: F811
    model = created(case, kernels)
    check("loss", carrying(model, case["batch"], case["chunk"], 2), case["carried_losses"], LOSS)
    check_weights(check, model, case, case["carried_weights"], len(case["carried_losses"]))


@cases("chunk")
def test_train_is_the_loop(case, kernels, group):
    model, other = created(case, kernels), created(case, kernels)
    losses = np.reshape(carrying(model, case["batch"], case["chunk"], 2), (2, -1))
    history = fitted(other, case["batch"], bptt_steps=case["chunk"], epochs=2)
    assert same(model.parameters(), other.parameters())
    steps = case["batch"]["x"].shape[1]
    ends = case["batch"].get("lengths", np.full(len(case["batch"]["x"]), steps))
    firsts = np.arange(0, steps, case["chunk"])
    counts = np.clip(ends[:, None] - firsts, 0, np.minimum(case["chunk"], steps - firsts)).sum(0)
    np.testing.assert_allclose(history["loss"], losses @ counts / np.sum(counts), rtol=1e-12)


@cases("chunk")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_one_chunk_is_a_plain_step(case, kernels, group, threads):
    plain, one = created(case, kernels), created(case, kernels)
    batch, size = case["batch"], case["batch"]["x"].shape[1]
    expected, history = fitted(plain, batch, epochs=3), fitted(one, batch, epochs=3, bptt_steps=size, threads=threads)
    assert same(history, expected)
    assert same(plain.parameters(), one.parameters())
