"""Train and serve recurrent networks on the CPU, with Keras's names: a thin layer over the C library liblstm.

In short:

    from lstm import Sequential
    from lstm.layers import Embedding, LSTM, Dense

    model = Sequential([Embedding(10000, 16), LSTM(32), Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=5, validation_split=0.2)
    model.save("model.safetensors")

The submodules layers, losses, optimizers (with schedules), metrics, callbacks, regularizers and constraints hold what
Keras's of the same name hold.
"""

from . import _library, callbacks, constraints, layers, losses, metrics, models, optimizers, plot, regularizers
from .callbacks import History
from .decoding import ctc_decode
from .errors import DivergedError, FormatError, UnsupportedError
from .layers import Input
from .models import Model, Sequential, from_bytes, load_model
from .online import Learner
from .prediction import Predictor
from .streaming import Stream, step_streams
from .training import Trainer

__all__ = [
    "DivergedError",
    "FormatError",
    "History",
    "Input",
    "Learner",
    "Model",
    "Predictor",
    "Sequential",
    "Stream",
    "Trainer",
    "UnsupportedError",
    "build_info",
    "callbacks",
    "constraints",
    "ctc_decode",
    "from_bytes",
    "kernels",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plot",
    "regularizers",
    "step_streams",
    "use_kernels",
]

__version__: str = _library.library.lstm_version().decode()


def build_info() -> str:
    """How the C library was built: version, compiler mode and the kernel sets it holds."""
    text: bytes = _library.library.lstm_build_info()
    return text.decode()


def kernels() -> str:
    """The set of kernels that the next model will use."""
    text: bytes = _library.library.lstm_kernels()
    return text.decode()


def use_kernels(name: str) -> None:
    """Chooses the kernels of models made from now on: "auto", "baseline", "avx2", "avx512" or "neon".

    ValueError: an unknown name; UnsupportedError: this processor or build has no such set.
    """
    _library.check(_library.library.lstm_use_kernels(name.encode()))
