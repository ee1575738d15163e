"""The layers of blocks.py in PyTorch: its modules, and what it has no module for written out.

What is written out (peer_torch_cells.py) is tried eagerly and compiled: of a loop over time the step is compiled, as
the compiler would unroll the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from blocks import HEADS, INNER, KINDS, UNITS, Block
from peer_torch_cells import (
    Compile,
    by_logarithms,
    coupled,
    lstm_with,
    minimal,
    mlstm,
    normalized_gru,
    normalized_lstm,
    one_by_one,
    peepholes,
    slstm,
)
from torch import Tensor, nn

# The order of [batch, timesteps, features] that suits a layer; each is its own inverse.
TIME_MAJOR, BATCH_FIRST, CHANNELS_FIRST = (1, 0, 2), (0, 1, 2), (0, 2, 1)


class Part(nn.Module):
    """`views`: the parameters in the library's order and layouts."""

    axes = TIME_MAJOR
    views: list[Tensor]

    def load(self, arrays: Iterator[np.ndarray]) -> None:
        for view in self.views:
            view.copy_(torch.from_numpy(next(arrays)))

    def store(self) -> list[np.ndarray]:
        return [view.detach().numpy().copy() for view in self.views]


def make(block: Block, inputs: int, mode: str) -> Part:
    """One of `modes`."""
    compiler = torch.compile if mode.startswith("compiled") else lambda function: function
    if block.kind in _MODULES:
        return _MODULES[block.kind](inputs, compiler)
    if mode == "loop":
        return Written(block, inputs, minimal(one_by_one))
    return Written(block, inputs, _WRITTEN[block.kind](compiler))


def modes(block: Block) -> list[str]:
    if block.kind in ("min_lstm", "min_gru"):
        return ["eager", "loop"]
    # Nothing is gained in modules that are PyTorch's own code, but for attention; those that loop would be unrolled.
    gains = block.kind == "attention" or block.kind not in _MODULES
    return ["eager", "compiled"] if gains else ["eager"]


class Written(Part):
    """Parameters as the library has them."""

    def __init__(self, block: Block, inputs: int, function: Callable[..., Tensor]) -> None:
        super().__init__()
        shapes = KINDS[block.kind].shapes(inputs, UNITS)
        self.parameters_in_order = nn.ParameterList([torch.empty(shape) for shape in shapes])
        self.function = function

    @property
    def views(self) -> list[Tensor]:
        return list(self.parameters_in_order)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parameters_in_order)


# MARK: Modules


class Recurrence(Part):
    """nn.RNN and nn.LSTM; an LSTM's second bias stays zero and is not trained, as the library has none."""

    def __init__(self, module: nn.RNNBase, compiler: Compile) -> None:
        super().__init__()
        self.module, self.run, self.views = module, compiler(module), []
        for end in ("l0", "l0_reverse")[: 1 + module.bidirectional]:
            one = {name: getattr(module, f"{name}_{end}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
            nn.init.zeros_(one["bias_hh"]).requires_grad_(False)
            self.views += [one["weight_ih"].T, one["weight_hh"].T, one["bias_ih"]]
            if module.proj_size:
                self.views.append(getattr(module, f"weight_hr_{end}").T)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)[0]


class Convolution(Part):
    axes = CHANNELS_FIRST

    def __init__(self, inputs: int, compiler: Compile) -> None:
        super().__init__()
        self.module = nn.Conv1d(inputs, UNITS, 5, padding=4)
        self.run = compiler(self.module)
        self.views = [self.module.weight.permute(2, 1, 0), self.module.bias]

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)[..., :-4]


class Attention(Part):
    axes = BATCH_FIRST

    def __init__(self, inputs: int, compiler: Compile) -> None:
        super().__init__()
        self.module = nn.MultiheadAttention(UNITS, HEADS, batch_first=True)
        self.run = compiler(self.module)
        self.views = _attention_views(self.module)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, x, x, need_weights=False)[0]


def _attention_views(module: nn.MultiheadAttention) -> list[Tensor]:
    pairs = zip(module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3))
    found = [view for weight, bias in pairs for view in (weight.T, bias)]
    return [*found, module.out_proj.weight.T, module.out_proj.bias]


class Encoder(Part):
    axes = BATCH_FIRST

    def __init__(self, inputs: int, compiler: Compile) -> None:
        super().__init__()
        self.module = one = nn.TransformerEncoderLayer(inputs, HEADS, INNER, dropout=0, batch_first=True)
        self.run = compiler(one)
        self.views = [
            *_attention_views(one.self_attn),
            *(one.norm1.weight, one.norm1.bias, one.linear1.weight.T, one.linear1.bias),
            *(one.linear2.weight.T, one.linear2.bias, one.norm2.weight, one.norm2.bias),
        ]

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


_MODULES: dict[str, Callable[[int, Compile], Part]] = {
    "simple_rnn": lambda inputs, compiler: Recurrence(nn.RNN(inputs, UNITS), compiler),
    "bidirectional simple_rnn": lambda inputs, compiler: Recurrence(
        nn.RNN(inputs, UNITS, bidirectional=True), compiler
    ),
    "lstm": lambda inputs, compiler: Recurrence(nn.LSTM(inputs, UNITS), compiler),
    "lstm, projection": lambda inputs, compiler: Recurrence(nn.LSTM(inputs, UNITS, proj_size=UNITS // 2), compiler),
    "conv1d": Convolution,
    "attention": Attention,
    "transformer_encoder": Encoder,
}


_WRITTEN: dict[str, Callable[[Compile], Callable]] = {
    "lstm, peepholes": lstm_with(peepholes),
    "lstm, coupled gates": lstm_with(coupled),
    "lstm, layer normalization": normalized_lstm,
    "gru, layer normalization": normalized_gru,
    "slstm": slstm,
    "mlstm": mlstm,
    "min_lstm": lambda compiler: minimal(compiler(by_logarithms)),
    "min_gru": lambda compiler: minimal(compiler(by_logarithms)),
    "crf": lambda compiler: lambda x, *_: x,
}
