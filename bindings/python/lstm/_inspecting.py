"""Looking inside: gates, states and attention weights of layers, and what an output depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from ctypes import byref, c_int64, c_uint32
from typing import Any

from ._arrays import Borrowed, Floats, outputs, pointer
from ._handle import Handle
from ._library import LSTM_MAX_RANK, check, library
from ._many import Data, Ports, refuse_several
from ._spec import whole


class Inspecting(ABC):
    """The part of a model that shows what goes on in it."""

    _ports: Ports | None
    _gradient_norms: Sequence[float] = ()

    @property
    @abstractmethod
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by their names."""

    @property
    def gradient_norms(self) -> dict[str, float]:
        """The norm of each parameter's gradient, before clipping, in the last batch that a callback of `fit` heard of.

        0 for those that are not trained; {} before.
        """
        return dict(zip(self.weight_shapes, self._gradient_norms)) if self._gradient_norms else {}

    @property
    @abstractmethod
    def handle(self) -> Handle:
        """The C model, made where there is none."""

    @abstractmethod
    def _gather(self, x: Any, y: Any = None, weights: Any = None, lengths: Any = None, mask: Any = None) -> Data: ...

    @abstractmethod
    def _borrow(self, x: Any, lengths: Any = None, mask: Any = None) -> Borrowed: ...

    def inspect(self, x: Any, layer: str, what: str = "output", *, lengths: Any = None, mask: Any = None) -> Floats:
        """What the layer of that name makes of x (as for `predict`), or what is inside of it then.

        `what` is "output" of any layer but Text; of recurrent layers "hidden" [B, T, units], the state after each
        timestep, of an LSTM also "memory" (its c); "gates" [B, T, gates, units], activated: of an LSTM i f g o (g is
        Keras's candidate c), of a GRU z r n, of MinGRU z n, of MinLSTM i f n; of attention and Transformer layers
        "attention" [B, heads, T, S], the weights with which each timestep reads each timestep, and of a
        TransformerDecoder "cross_attention". A Bidirectional has "forward_hidden" and so on, and "backward_hidden".
        Padding has zeros, but in outputs. ValueError: an unknown name; UnsupportedError: the layer does not have that.
        """
        names = (str(layer).encode(), str(what).encode())
        if self._ports is not None:
            data = self._gather(x, lengths=lengths, mask=mask)
            return _shaped(library.lstm_inspect_many, self.handle, data.struct, *names)
        xs = self._borrow(x, lengths, mask)
        return _shaped(library.lstm_inspect, self.handle, xs.struct, *names)

    def saliency(
        self,
        x: Any,
        output: int = 0,
        method: str = "gradient",
        steps: int = 50,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> Floats:
        """How number `output` of each sample's output depends on what the model reads, in the shape of x.

        For tokens and text it is [B, T, units], about the vectors that the Embedding makes of them. `method` is
        "gradient" or "integrated_gradients": x times the mean gradient at `steps` points of the line from zeros to x,
        which sums to about the output for x minus that for zeros (Sundararajan, Taly & Yan 2017).

        UnsupportedError: a compressed model, one that ends in a CRF or has several inputs, outputs or embeddings.
        """
        refuse_several(self._ports, "saliency")
        if method not in ("gradient", "integrated_gradients"):
            raise ValueError(f"method: expected 'gradient' or 'integrated_gradients', got {method!r}")
        count = whole("steps", steps)
        if count < 1:
            raise ValueError(f"steps: expected at least 1, got {count}")
        xs = self._borrow(x, lengths, mask)
        points = 0 if method == "gradient" else count
        return _shaped(library.lstm_saliency, self.handle, xs.struct, whole("output", output), points)


def _shaped(function: Any, *arguments: Any) -> Floats:
    """What a C function that ends in (shape, rank, values, capacity, count) has to give."""
    shape, rank = (c_int64 * LSTM_MAX_RANK)(), c_uint32()
    check(function(*arguments, shape, byref(rank), None, 0, None))
    values = outputs(tuple(shape[: rank.value]))
    check(function(*arguments, None, None, pointer(values), values.size, None))
    return values
