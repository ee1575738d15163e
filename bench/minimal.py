"""A training step of the newer cells beside the classic ones and beside PyTorch, against the number of timesteps.

    PYTHONPATH=bindings/python python bench/minimal.py [cell ...]

128 inputs, 256 units, a batch of 16, sequences out, mean squared error, plain gradient descent, two threads each.
PyTorch runs nn.LSTM and nn.GRU, the scan in logarithms of minGRU-pytorch, and of the package xlstm the vanilla sLSTM
and the mLSTM in parallel form: what is not installed is left out. Each figure is the shortest of several steps, in
milliseconds; the two take turns.
"""

import sys
import time

import numpy as np

import lstm
from lstm import layers, optimizers

INPUTS, UNITS, BATCH, HEADS, TIMESTEPS = 128, 256, 16, 4, (64, 256, 1024)
CELLS = {
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "min_gru": layers.MinGRU,
    "min_lstm": layers.MinLSTM,
    "slstm": layers.SLSTM,
    "mlstm": layers.MLSTM,
}


def our_step(kind, x, y):
    heads = {"heads": HEADS} if kind in ("slstm", "mlstm") else {}
    model = lstm.Sequential([layers.Input(x.shape[1:]), CELLS[kind](UNITS, return_sequences=True, **heads)])
    model.compile(loss="mse", optimizer=optimizers.SGD(0.01))
    trainer = lstm.Trainer(model, threads=2)
    return lambda: trainer.step(x, y)


def torch_forward(kind):
    """The cell of PyTorch or of its package: modules, and x -> y."""
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    if kind in ("lstm", "gru"):
        cell = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](INPUTS, UNITS, batch_first=True)
        return [cell], lambda x: cell(x)[0]
    if kind in ("min_gru", "min_lstm"):
        from minGRU_pytorch.minGRU import heinsen_associative_scan_log, log_g

        products = nn.Linear(INPUTS, (2 if kind == "min_gru" else 3) * UNITS)

        def minimal(x):
            *gates, hidden = products(x).chunk(2 if kind == "min_gru" else 3, -1)
            # The logarithm of the odds of the new against the old.
            odds = gates[0] if kind == "min_gru" else softplus(-gates[1]) - softplus(-gates[0])
            return heinsen_associative_scan_log(-softplus(odds), -softplus(-odds) + log_g(hidden))

        return [products], minimal
    if kind == "slstm":
        from xlstm.blocks.slstm.src.vanilla import slstm_forward, slstm_pointwise_function_registry

        products, width = nn.Linear(INPUTS, 4 * UNITS), UNITS // HEADS
        recurrent = nn.ParameterList([torch.randn(HEADS, 4 * width, width) * width**-0.5])
        pointwise, bias = slstm_pointwise_function_registry["slstm"], torch.zeros(4 * UNITS)

        def slstm(x):
            states = torch.zeros(4, len(x), UNITS)
            return slstm_forward(products(x).transpose(0, 1), states, recurrent[0], bias, pointwise)[0][
                0, 1:
            ].transpose(0, 1)

        return [products, recurrent], slstm
    from xlstm.blocks.mlstm.backends import parallel_stabilized_simple

    products = nn.Linear(INPUTS, 4 * UNITS + 2 * HEADS)

    def mlstm(x):
        q, k, v, o, i, f = products(x).split([UNITS] * 4 + [HEADS] * 2, -1)
        heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q, k, v, i, f)]
        return torch.sigmoid(o) * parallel_stabilized_simple(*heads).transpose(1, 2).flatten(2)

    return [products], mlstm


def their_step(kind, x, y):
    try:
        import torch

        modules, forward = torch_forward(kind)
    except ImportError:
        return None
    torch.set_num_threads(2)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.SGD([parameter for module in modules for parameter in module.parameters()], 0.01)

    def step():
        optimizer.zero_grad()
        (forward(x) - y).square().mean().backward()
        optimizer.step()

    return step


def shortest(steps, seconds=2.0):
    """The shortest time of each step in milliseconds; they take turns."""
    times = [[] for _ in steps]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 4:
        for step, own in zip(steps, times):
            start = time.perf_counter()
            step()
            own.append(time.perf_counter() - start)
    return [1000 * min(own[1:]) for own in times]


def main():
    print(f"{'cell':>9} {'timesteps':>9} {'liblstm ms':>11} {'PyTorch ms':>11}")
    for kind in sys.argv[1:] or CELLS:
        for timesteps in TIMESTEPS:
            random = np.random.default_rng(0)
            x = random.normal(size=(BATCH, timesteps, INPUTS)).astype(np.float32)
            y = random.normal(size=(BATCH, timesteps, UNITS)).astype(np.float32)
            steps = [step for step in (our_step(kind, x, y), their_step(kind, x, y)) if step]
            times = [f"{milliseconds:11.1f}" for milliseconds in shortest(steps)]
            print(f"{kind:>9} {timesteps:>9} {' '.join(times)}", flush=True)


if __name__ == "__main__":
    main()
