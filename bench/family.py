"""The workloads of the whole family: training and prediction with each kind of layer, and a step of training against
the number of timesteps. Ours and PyTorch's alone.

All have 256 inputs, the layers 256 units and sequences out.
"""

from __future__ import annotations

from blocks import KINDS, TAGS, Block
from workloads import Dense, Recurrent, Workload

INPUTS, TIMESTEPS, BATCH = 256, 64, 32
LENGTHS, LONG_BATCH = (64, 256, 1024, 4096), 4
AGAINST_TIMESTEPS = ("lstm", "min_lstm", "min_gru", "transformer_encoder")
PREDICTED = (
    "simple_rnn",
    "lstm, projection",
    "lstm, peepholes",
    "lstm, layer normalization",
    "conv1d, lstm",
    "slstm",
    "mlstm",
    "min_lstm",
    "transformer_encoder",
)

_ROWS = {kind: (Block(kind),) for kind in KINDS if kind not in ("lstm", "crf")}
_ROWS["conv1d, lstm"] = (Block("conv1d"), Recurrent("lstm", 256, sequences=True))


def against(kind: str, timesteps: int) -> str:
    """The name of a workload."""
    return f"{kind}, {timesteps} timesteps"


def _row(name: str, kind: str, layers: tuple, loss: str = "") -> Workload:
    return Workload(name, kind, layers, timesteps=TIMESTEPS, batch=BATCH, inputs=INPUTS, loss=loss)


FAMILY = {
    one.name: one
    for one in (
        *(_row(name, "train", layers, "mse") for name, layers in _ROWS.items()),
        _row("dense, crf", "train", (Dense(TAGS), Block("crf")), "crf"),
        _row("dense, ctc", "train", (Dense(TAGS),), "ctc"),
        *(_row(f"{name}, prediction", "predict", _ROWS[name]) for name in PREDICTED),
        *(
            Workload(against(kind, steps), "train", (Block(kind),), steps, LONG_BATCH, INPUTS, loss="mse")
            for kind in AGAINST_TIMESTEPS
            for steps in LENGTHS
        ),
    )
}
