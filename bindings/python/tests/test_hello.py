"""The hello world of the field, the cost of an import, and what a stranger meets first."""

import os
import re
import subprocess
import sys
import time

import numpy as np
from conftest import PACKAGE

import lstm

# As Keras's users type it, word for word but for the imports.
HELLO = """
import numpy as np
from lstm import Sequential
from lstm.layers import Embedding, LSTM, Dense

vocab_size, embedding_dim, max_length = 10000, 16, 120
model = Sequential([
    Embedding(vocab_size, embedding_dim, input_length=max_length),
    LSTM(32),
    Dense(1, activation="sigmoid"),
])
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.summary()
X_train = np.random.randint(0, vocab_size, size=(100, max_length))
y_train = np.random.randint(0, 2, size=(100, 1))
history = model.fit(X_train, y_train, epochs=5, validation_split=0.2)
"""


def python(code, **variables):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), **variables}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_hello_world():
    done = python(HELLO + "print(sorted(history.history), history.epoch)")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    # 10000 * 16; 4 * (16 + 32 + 1) * 32; 33; and their sum
    for parameters in ("160,?000", "6,?272", "33", "166,?305"):
        assert re.search(rf"\b{parameters}\b", done.stdout), done.stdout
    assert "(None, 120, 16)" in done.stdout
    assert re.findall(r"^Epoch (\d)/5 .*loss .*accuracy .*val_loss .*val_accuracy", done.stdout, re.MULTILINE) == [
        *"12345"
    ]
    assert "['accuracy', 'loss', 'val_accuracy', 'val_loss'] [0, 1, 2, 3, 4]" in done.stdout


def test_imports_in_under_a_fifth_of_a_second(tmp_path):
    """`import lstm` as a whole, numpy included, in a fresh process, compiled as an installed package is.

    The best of some, in processor time, as the machine may be busy.
    """
    code = "import time; t = time.process_time(); import lstm; print(time.process_time() - t)"
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    best = min(float(python(code, **cache).stdout) for _ in range(10))
    print(f"\n    import lstm: {1000 * best:.0f} ms")
    assert best < 0.2


def test_imports_nothing_but_numpy_and_the_standard_library():
    code = "import sys, numpy; before = set(sys.modules); import lstm; print(*sorted(set(sys.modules) - before))"
    names = {name.split(".")[0] for name in python(code).stdout.split()}

    assert names - sys.stdlib_module_names == {"lstm", "numpy"}


def test_works_where_there_is_no_stdout():
    code = "import sys; sys.stdout = None\n" + HELLO.replace("model.summary()", "")
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_name_is_there_and_documented():
    for module in (lstm, lstm.layers, lstm.losses, lstm.metrics, lstm.optimizers, lstm.callbacks, lstm.models):
        assert module.__doc__
        for name in module.__all__:
            assert getattr(module, name).__doc__, name


def test_version_and_build():
    assert re.fullmatch(r"\d+\.\d+\.\d+", lstm.__version__)
    assert lstm.__version__ in lstm.build_info()


def test_kernels():
    try:
        for name in ("baseline", "auto"):
            lstm.use_kernels(name)
            assert lstm.kernels() == "baseline" or name == "auto"
        assert lstm.kernels() != "auto"
    finally:
        lstm.use_kernels("auto")


def test_a_step_is_cheap(regressor):
    """A step of a small model costs little more than the call through ctypes."""
    stream, x, out = regressor.stream(), np.zeros(3, np.float32), np.zeros(1, np.float32)

    def microseconds(x, out):
        start = time.perf_counter()
        for _ in range(2000):
            stream.step(x, out)
        return (time.perf_counter() - start) * 1e6 / 2000

    copied = min(microseconds(x, out) for _ in range(5))
    own = min(microseconds(stream.x, stream.y) for _ in range(5))
    print(f"\n    stream.step: {own:.2f} us, {copied:.2f} us with arrays of the caller's")
    assert own < copied < 20
