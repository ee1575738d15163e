"""Measures liblstm beside the frameworks that are installed, and prints the table of README.md.

    PYTHONPATH=bindings/python python bench/compare.py

Of torch, keras (on the backend that KERAS_BACKEND names) and onnxruntime those are measured that this Python has.
Every figure comes from fresh processes and is the median of several: the import beyond the interpreter's own start, the
memory that it adds, the files of the package itself (its dependencies not counted), and one training step of the
field's hello world: embedding 10,000 x 16, LSTM 32, dense 1 with sigmoid, binary cross-entropy, Adam, batch 32 of 120
tokens.
"""

import importlib.metadata
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "build" / "liblstm.so.1"
PEERS = ("torch", "keras", "onnxruntime")
VOCABULARY, UNITS, LENGTH, BATCH = 10000, 32, 120, 32

RESIDENT = "int(open('/proc/self/statm').read().split()[1]) * 4 / 1024"
LOAD = f"import ctypes, time; t = time.perf_counter(); ctypes.CDLL({str(LIBRARY)!r}); print(time.perf_counter() - t)"

STEP_DATA = f"""
import statistics, sys, time
import numpy as np
random = np.random.default_rng(0)
x = random.integers(0, {VOCABULARY}, ({BATCH}, {LENGTH}))
y = random.integers(0, 2, ({BATCH}, 1)).astype(np.float32)
def measure(step):
    for _ in range(10):
        step()
    times = []
    for _ in range(100):
        t = time.perf_counter()
        step()
        times.append(time.perf_counter() - t)
    print(1000 * statistics.median(times))
"""
KERAS_STEP = f"""
model = Sequential([Embedding({VOCABULARY}, 16), LSTM({UNITS}), Dense(1, activation="sigmoid")])
model.compile(loss="binary_crossentropy", optimizer="adam")
measure(lambda: model.train_on_batch(x, y))
"""
STEPS = {
    "liblstm": STEP_DATA + "from lstm import Sequential\nfrom lstm.layers import Dense, Embedding, LSTM\n" + KERAS_STEP,
    "torch": STEP_DATA
    + f"""
import torch
from torch import nn
torch.set_num_threads(int(sys.argv[1]))
embedding, lstm, dense = nn.Embedding({VOCABULARY}, 16), nn.LSTM(16, {UNITS}, batch_first=True), nn.Linear({UNITS}, 1)
parameters = [*embedding.parameters(), *lstm.parameters(), *dense.parameters()]
optimizer, loss = torch.optim.Adam(parameters), nn.BCEWithLogitsLoss()
x, y = torch.tensor(x), torch.tensor(y)
def step():
    optimizer.zero_grad()
    loss(dense(lstm(embedding(x))[0][:, -1]), y).backward()
    optimizer.step()
measure(step)
""",
    "keras": STEP_DATA + "from keras import Sequential\nfrom keras.layers import Dense, Embedding, LSTM\n" + KERAS_STEP,
}


def python(code: str, *arguments: str) -> float:
    """The number that a fresh interpreter prints last."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return float(done.stdout.split()[-1])


def median(code: str, runs: int = 7) -> float:
    return statistics.median(python(code) for _ in range(runs))


def import_seconds(module: str) -> float:
    def run(code: str) -> float:
        start = time.perf_counter()
        python(code)
        return time.perf_counter() - start

    bare = statistics.median(run("print(0)") for _ in range(7))
    return statistics.median(run(f"import {module}; print(0)") for _ in range(7)) - bare


def import_megabytes(module: str) -> float:
    return median(f"import {module}; print({RESIDENT})", 3) - median(f"print({RESIDENT})", 3)


def installed_megabytes(package: str) -> float:
    files = [Path(str(file.locate())) for file in importlib.metadata.files(package) or []]
    return sum(file.stat().st_size for file in files if file.exists()) / 1e6


def own_megabytes() -> float:
    """The Python package with the library beside it, as the wheel installs it."""
    return (
        sum(file.stat().st_size for file in (ROOT / "bindings/python/lstm").glob("*.py*")) + LIBRARY.stat().st_size
    ) / 1e6


def row(name: str, module: str, size: float, steps: dict[int, float]) -> str:
    cells = [name, f"{size:,.1f} MB", f"{1000 * import_seconds(module):,.0f} ms", f"{import_megabytes(module):,.0f} MB"]
    times = ", ".join(f"{ms:.1f} ms ({threads} thread{'s' * (threads > 1)})" for threads, ms in steps.items())
    return f"| {' | '.join([*cells, times or '-'])} |"


def main() -> None:
    print("| | installed | import | memory after import | a training step |")
    print("|---|---|---|---|---|")
    print(row("liblstm", "lstm", own_megabytes(), {len(os.sched_getaffinity(0)): python(STEPS["liblstm"])}))
    print(row("numpy alone", "numpy", installed_megabytes("numpy"), {}))
    for peer in PEERS:
        if importlib.util.find_spec(peer) is None:
            continue
        threads = {"torch": (1, 2), "keras": (2,)}.get(peer, ())
        steps = {n: python(STEPS[peer], str(n)) for n in threads}
        name = f"{peer} {importlib.metadata.version(peer)}"
        if peer == "keras":
            name += f" on {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
        print(row(name, peer, installed_megabytes(peer), steps), flush=True)
    print(f"\nliblstm.so.1: {LIBRARY.stat().st_size / 1024:.0f} KB, dlopen {1000 * median(LOAD):.2f} ms")


if __name__ == "__main__":
    main()
