"""The layers of the whole family beside those of workloads.py: their descriptions and the shapes of their weights.

They have 256 units and sequences out. Weights are a flat list in the library's order and layouts, as docs/layers tells
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

UNITS, HEADS, INNER, TAGS, LABELS = 256, 4, 1024, 32, 16

Shapes = list[tuple[int, ...]]


@dataclass(frozen=True)
class Kind:
    """A layer of the library: the fields of its description, and of `i` inputs and `u` units the shapes of its weights.

    `recurrent` of these read a state, and not the inputs. `work` is what else one timestep of one row multiplies: its
    multiplications of numbers for so many timesteps.
    """

    fields: dict[str, object]
    shapes: Callable[[int, int], Shapes]
    recurrent: tuple[int, ...] = ()
    work: Callable[[int], int] = lambda timesteps: 0


def _lstm(gates: int = 4, *others: tuple[int, ...]) -> Callable[[int, int], Shapes]:
    return lambda i, u: [(i, gates * u), (u, gates * u), (gates * u,), *others]


def _attention(f: int, u: int) -> Shapes:
    return [(f, u), (u,)] * 3 + [(u, f), (f,)]


def _encoder(f: int, u: int) -> Shapes:
    return [*_attention(f, u), (f,), (f,), (f, INNER), (INNER,), (INNER, f), (f,), (f,), (f,)]


_H = UNITS
_SEQUENCES = {"return_sequences": True}
_RNN = {"type": "simple_rnn", "units": _H, **_SEQUENCES}
_LSTM = {"type": "lstm", "units": _H, **_SEQUENCES}
_ENCODER = {"type": "transformer_encoder", "units": INNER, "num_heads": HEADS}

KINDS = {
    "simple_rnn": Kind(_RNN, lambda i, u: [(i, u), (u, u), (u,)], (1,)),
    "bidirectional simple_rnn": Kind(
        {"type": "bidirectional", "layer": _RNN}, lambda i, u: [(i, u), (u, u), (u,)] * 2, (1, 4)
    ),
    "lstm": Kind(_LSTM, _lstm(), (1,)),
    "lstm, projection": Kind(
        {**_LSTM, "projection": _H // 2}, lambda i, u: [(i, 4 * u), (u // 2, 4 * u), (4 * u,), (u, u // 2)], (1, 3)
    ),
    "lstm, peepholes": Kind({**_LSTM, "peepholes": True}, _lstm(4, (3, _H)), (1,)),
    "lstm, coupled gates": Kind({**_LSTM, "coupled_gates": True}, _lstm(3), (1,)),
    "lstm, layer normalization": Kind(
        {**_LSTM, "layer_normalization": True}, _lstm(4, (4 * _H,), (4 * _H,), (_H,), (_H,)), (1,)
    ),
    "gru, layer normalization": Kind(
        {"type": "gru", "units": _H, **_SEQUENCES, "layer_normalization": True},
        lambda i, u: [(i, 3 * u), (u, 3 * u), (2, 3 * u), (3 * u,), (3 * u,)],
        (1,),
    ),
    "conv1d": Kind(
        {"type": "conv1d", "filters": _H, "kernel_size": 5, "padding": "causal"}, lambda i, u: [(5, i, u), (u,)]
    ),
    "slstm": Kind(
        {"type": "slstm", "units": _H, "heads": HEADS, **_SEQUENCES},
        lambda i, u: [(i, 4 * u), (4 * u,), (u, 4 * u // HEADS)],
        (2,),
    ),
    "mlstm": Kind(
        {"type": "mlstm", "units": _H, "heads": HEADS, **_SEQUENCES},
        lambda i, u: [(i, 4 * u + 2 * HEADS), (4 * u + 2 * HEADS,)],
    ),
    "min_lstm": Kind({"type": "min_lstm", "units": _H, **_SEQUENCES}, lambda i, u: [(i, 3 * u), (3 * u,)]),
    "min_gru": Kind({"type": "min_gru", "units": _H, **_SEQUENCES}, lambda i, u: [(i, 2 * u), (2 * u,)]),
    "attention": Kind(
        {"type": "multi_head_attention", "num_heads": HEADS, "key_dim": _H // HEADS},
        _attention,
        (6,),
        lambda timesteps: 2 * timesteps * _H,
    ),
    "transformer_encoder": Kind(_ENCODER, _encoder, (6, 10, 12), lambda timesteps: 2 * timesteps * _H),
    "crf": Kind({"type": "crf", "units": TAGS}, lambda i, u: [(TAGS,), (TAGS, TAGS), (TAGS,)]),
}


@dataclass(frozen=True)
class Block:
    """A layer of KINDS."""

    kind: str
    sequences: bool = True

    @property
    def fields(self) -> dict[str, object]:
        return KINDS[self.kind].fields

    @property
    def outputs(self) -> int:
        return {"lstm, projection": UNITS // 2, "bidirectional simple_rnn": 2 * UNITS, "crf": TAGS}.get(
            self.kind, UNITS
        )

    def weights(self, random: np.random.Generator, inputs: int) -> list[np.ndarray]:
        """Matrices keep the size of what goes through them; biases are near 0, and gains near 1/2: with larger ones the
        errors of rounding grow from step to step."""
        found = []
        for shape in KINDS[self.kind].shapes(inputs, UNITS):
            if len(shape) > 1 and shape[0] > 3:
                found.append(random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1])))
            else:
                found.append(random.uniform(-0.1, 0.1, shape))
        for index in self._gains():
            found[index] += 0.5
        return found

    def _gains(self) -> tuple[int, ...]:
        gains = {"lstm, layer normalization": (3, 4, 5), "gru, layer normalization": (3, 4)}
        return {**gains, "transformer_encoder": (8, 14)}.get(self.kind, ())

    def flops(self, inputs: int, steps: int, timesteps: int, products: int, training: bool) -> float:
        """`products` is how many of them the weights that read the inputs take."""
        kind, all_products = KINDS[self.kind], 3 if training else 1
        total = kind.work(timesteps) * all_products
        for index, shape in enumerate(kind.shapes(inputs, UNITS)):
            if len(shape) > 1 and shape[0] > 3 and self.kind != "crf":
                total += int(np.prod(shape)) * (all_products if index in kind.recurrent else products)
        return 2.0 * steps * total
