"""Two tests of long memory, as old as the LSTM: the adding problem and copying from memory.

    python long_memory.py [task ...] [--cells lstm gru ...] [--timesteps 200] [--units 64] [--steps 6000]

adding  Of T numbers between 0 and 1 two are marked, one in the first half and one in the second; the answer behind the
        last step is their sum (Hochreiter & Schmidhuber 1997, in the form of Arjovsky et al. 2016). Whoever always
        answers 1 has a mean squared error of 0.167.
copy    Ten symbols of eight, T - 1 blanks, a sign, ten blanks; over the last ten the ten symbols are asked for again
        (Arjovsky et al. 2016). Whoever remembers nothing has a cross-entropy of 10 log 8 / (T + 20).

Each step learns from new sequences; what is printed is measured on others. A cell named with /chrono begins with
forget gates that remember from 1 to T steps (Tallec & Ollivier 2018).
"""

import argparse

import numpy as np

import lstm
from lstm import layers
from lstm.losses import SparseCategoricalCrossentropy
from lstm.optimizers import Adam

CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN, "min_gru": layers.MinGRU}
BATCH = 32


def adding(random, rows, timesteps):
    """x [rows, timesteps, 2] and y [rows, 1]."""
    half, every = timesteps // 2, np.arange(rows)
    x = np.zeros((rows, timesteps, 2), np.float32)
    x[..., 0] = random.uniform(size=(rows, timesteps))
    marked = [random.integers(0, half, rows), random.integers(half, timesteps, rows)]
    for place in marked:
        x[every, place, 1] = 1
    return x, sum(x[every, place, 0] for place in marked)[:, np.newaxis]


def copy(random, rows, timesteps):
    """x [rows, timesteps + 20, 10], one-hot, and y [rows, timesteps + 20], classes."""
    blank, sign = 8, 9
    symbols = random.integers(0, 8, (rows, 10))
    x = np.full((rows, timesteps + 20), blank)
    x[:, :10], x[:, timesteps + 9] = symbols, sign
    y = np.full((rows, timesteps + 20), blank)
    y[:, -10:] = symbols
    return np.eye(10, dtype=np.float32)[x], y


def remember_long(layer, timesteps, random):
    """Biases by which forgetting takes from 1 to T steps: log u of the gate that keeps, -log u of an input gate."""
    kernel, recurrent, bias = layer.get_weights()
    units = recurrent.shape[0]
    keep = np.log(random.uniform(1, timesteps - 1, units))
    if isinstance(layer, layers.LSTM):
        bias[:units], bias[units : 2 * units] = -keep, keep
    else:
        bias[0, :units] = keep
    layer.set_weights([kernel, recurrent, bias])


def build(task, cell, timesteps, units, rate, seed):
    name, _, start = cell.partition("/")
    layer = CELLS[name](units, return_sequences=task == "copy")
    inputs, outputs, loss = (
        (2, 1, "mse") if task == "adding" else (10, 9, SparseCategoricalCrossentropy(from_logits=True))
    )
    model = lstm.Sequential([lstm.Input((None, inputs)), layer, layers.Dense(outputs)], seed=seed)
    model.compile(Adam(rate, clipnorm=1.0), loss)
    model.build()
    if start == "chrono":
        remember_long(layer, timesteps, np.random.default_rng(seed))
    return model


def learn(task, cell, timesteps, units, steps, rate, seed):
    """Yields the step and the loss on sequences that are not learned from, ten times."""
    make = {"adding": adding, "copy": copy}[task]
    random = np.random.default_rng(seed)
    model = build(task, cell, timesteps, units, rate, seed)
    test = make(np.random.default_rng(seed + 1000), 500, timesteps)
    with model.trainer(threads=1) as trainer:
        for step in range(1, steps + 1):
            trainer.step(*make(random, BATCH, timesteps))
            if step % max(1, steps // 10) == 0:
                yield step, model.evaluate(*test, verbose=0, threads=1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tasks", nargs="*", default=["adding", "copy"])
    arguments.add_argument("--cells", nargs="+", default=["lstm", "gru"])
    arguments.add_argument("--timesteps", type=int, default=200)
    arguments.add_argument("--units", type=int, default=64)
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--rate", type=float, default=0.005)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    for task in given.tasks:
        naive = 1 / 6 if task == "adding" else 10 * np.log(8) / (given.timesteps + 20)
        print(f"{task}, {given.timesteps} timesteps: without memory {naive:.4f}", flush=True)
        for cell in given.cells:
            for step, loss in learn(task, cell, given.timesteps, given.units, given.steps, given.rate, given.seed):
                print(f"{cell:12} after {step:6} steps {loss:.6f}", flush=True)


if __name__ == "__main__":
    main()
