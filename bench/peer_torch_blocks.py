"""The layers of blocks.py in PyTorch: its modules, and what it has no module for written out.

What is written out does the products of the inputs for all timesteps at once, and is tried eagerly and compiled: of a
loop over time the step is compiled, as the compiler would unroll the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from blocks import HEADS, INNER, KINDS, UNITS, Block
from torch import Tensor, nn
from torch.nn.functional import layer_norm, logsigmoid, softplus

# The order of [batch, timesteps, features] that suits a layer; each is its own inverse.
TIME_MAJOR, BATCH_FIRST, CHANNELS_FIRST = (1, 0, 2), (0, 1, 2), (0, 2, 1)

Compile = Callable[[Callable], Callable]


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
        return Written(block, inputs, minimal(_one_by_one))
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


# MARK: Loops over time


def _peepholes(s: Tensor, h: Tensor, c: Tensor, recurrent: Tensor, peepholes: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = torch.addmm(s, h, recurrent).chunk(4, -1)
    pi, pf, po = peepholes
    c = torch.sigmoid(f + pf * c) * c + torch.sigmoid(i + pi * c) * torch.tanh(g)
    return torch.sigmoid(o + po * c) * torch.tanh(c), c


def _coupled(s: Tensor, h: Tensor, c: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor]:
    i, g, o = torch.addmm(s, h, recurrent).chunk(3, -1)
    c = torch.lerp(c, torch.tanh(g), torch.sigmoid(i))
    return torch.sigmoid(o) * torch.tanh(c), c


def _normalized(
    s: Tensor, h: Tensor, c: Tensor, recurrent: Tensor, gamma: Tensor, memory_gamma: Tensor, memory_beta: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = (s + layer_norm(h @ recurrent, gamma.shape, gamma, None, 1e-3)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    seen = layer_norm(c, memory_gamma.shape, memory_gamma, memory_beta, 1e-3)
    return torch.sigmoid(o) * torch.tanh(seen), c


def _normalized_gru(s: Tensor, h: Tensor, recurrent: Tensor, gamma: Tensor, bias: Tensor) -> Tensor:
    z, r, n = s.chunk(3, -1)
    hz, hr, hn = layer_norm(h @ recurrent, gamma.shape, gamma, bias, 1e-3).chunk(3, -1)
    return torch.lerp(torch.tanh(n + torch.sigmoid(r + hr) * hn), h, torch.sigmoid(z + hz))


def _lstm_loop(cell: Callable, sums: Tensor, recurrent: Tensor, *others: Tensor) -> Tensor:
    h = c = sums.new_zeros(sums.shape[1], UNITS)
    found = []
    for s in sums.unbind(0):
        h, c = cell(s, h, c, recurrent, *others)
        found.append(h)
    return torch.stack(found)


def lstm_with(cell: Callable) -> Callable[[Compile], Callable]:
    def made(compiler: Compile) -> Callable:
        step = compiler(cell)
        return lambda x, kernel, recurrent, bias, *others: _lstm_loop(step, x @ kernel + bias, recurrent, *others)

    return made


def normalized_lstm(compiler: Compile) -> Callable:
    step = compiler(_normalized)

    def run(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, gamma: Tensor, *others: Tensor) -> Tensor:
        sums = layer_norm(x @ kernel, gamma.shape, gamma, bias, 1e-3)
        return _lstm_loop(step, sums, recurrent, *others)

    return run


def normalized_gru(compiler: Compile) -> Callable:
    step = compiler(_normalized_gru)

    def run(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, gamma: Tensor, of_hidden: Tensor) -> Tensor:
        h, found = x.new_zeros(x.shape[1], UNITS), []
        for s in layer_norm(x @ kernel, gamma.shape, gamma, bias[0], 1e-3).unbind(0):
            h = step(s, h, recurrent, of_hidden, bias[1])
            found.append(h)
        return torch.stack(found)

    return run


def _exponential(s: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor, recurrent: Tensor) -> tuple[Tensor, ...]:
    """Of heads: states [heads, B, width], sums [heads, B, 4 width]. No output depends on m, nor a gradient."""
    i, f, z, o = torch.baddbmm(s, h, recurrent).chunk(4, -1)
    kept = logsigmoid(f) + m
    m = torch.maximum(kept, i).detach()
    new, old = torch.exp(i - m), torch.exp(kept - m)
    c, n = old * c + new * torch.tanh(z), old * n + new
    return torch.sigmoid(o) * c / n, c, n, m


def slstm(compiler: Compile) -> Callable:
    step, width = compiler(_exponential), UNITS // HEADS

    def run(x: Tensor, kernel: Tensor, bias: Tensor, recurrent: Tensor) -> Tensor:
        steps, batch, _ = x.shape
        sums = (x @ kernel + bias).view(steps, batch, 4, HEADS, width).permute(0, 3, 1, 2, 4).flatten(3).contiguous()
        h = c = n = x.new_zeros(HEADS, batch, width)
        m, found = torch.full_like(h, -torch.inf), []
        for s in sums.unbind(0):
            h, c, n, m = step(s, h, c, n, m, recurrent.view(HEADS, width, 4 * width))
            found.append(h)
        return torch.stack(found).transpose(1, 2).flatten(2)

    return run


# MARK: All timesteps at once


def mlstm(compiler: Compile) -> Callable:
    """The parallel form of Beck et al. 2024, with the sums over s up to t as products of matrices [T, T]."""

    def run(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        q, k, v, o, i, f = (x @ kernel + bias).transpose(0, 1).split([UNITS] * 4 + [HEADS] * 2, -1)
        q, k, v, i, f = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q, k, v, i, f))
        forgotten = logsigmoid(f).cumsum(-2)
        weight = forgotten - (forgotten - i).transpose(-1, -2)
        ahead = torch.ones(weight.shape[-2:], dtype=torch.bool).triu(1)
        weight = weight.masked_fill(ahead, -torch.inf)
        m = weight.amax(-1, keepdim=True).detach()
        scores = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5) * torch.exp(weight - m)
        divisor = torch.maximum(scores.sum(-1, keepdim=True).abs(), torch.exp(-m))
        h = (scores @ v / divisor).transpose(1, 2).flatten(2)
        return (torch.sigmoid(o) * h).transpose(0, 1)

    return compiler(run)


def _odds(gates: tuple[Tensor, ...]) -> Tensor:
    """The logarithm of what the new value weighs against the old: of minGRU the gate, of minLSTM ln(i / f)."""
    return gates[0] if len(gates) == 1 else softplus(-gates[1]) - softplus(-gates[0])


def _by_logarithms(gates: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
    """Heinsen 2023, as the paper and minGRU-pytorch have it."""
    odds = _odds(gates)
    of_hidden = torch.where(hidden >= 0, (hidden.relu() + 0.5).log(), -softplus(-hidden))
    kept = (-softplus(odds)).cumsum(0)
    return torch.exp(kept + torch.logcumsumexp(of_hidden - softplus(-odds) - kept, 0))


def _one_by_one(gates: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
    weights = torch.sigmoid(_odds(gates))
    new = torch.where(hidden >= 0, hidden + 0.5, torch.sigmoid(hidden))
    h, found = torch.zeros_like(hidden[0]), []
    for value, weight in zip(new.unbind(0), weights.unbind(0)):
        h = torch.lerp(h, value, weight)
        found.append(h)
    return torch.stack(found)


def minimal(scan: Callable) -> Callable:
    def run(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        *gates, hidden = (x @ kernel + bias).split(UNITS, -1)
        return scan(tuple(gates), hidden)

    return run


# MARK: Losses


def _forward_step(alpha: Tensor, transitions: Tensor, emissions: Tensor) -> Tensor:
    return torch.logsumexp(alpha.unsqueeze(-1) + transitions, 1) + emissions


def crf_loss(compiler: Compile) -> Callable:
    """Of emissions [T, B, tags] and tags [T, B], the mean over B of -ln p(tags)."""
    step = compiler(_forward_step)

    def run(emissions: Tensor, tags: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
        alpha = start + emissions[0]
        for one in emissions[1:].unbind(0):
            alpha = step(alpha, transitions, one)
        score = start[tags[0]] + end[tags[-1]] + transitions[tags[:-1], tags[1:]].sum(0)
        score = score + emissions.gather(2, tags.unsqueeze(-1)).sum((0, 2))
        return (torch.logsumexp(alpha + end, -1) - score).mean()

    return run


_WRITTEN: dict[str, Callable[[Compile], Callable]] = {
    "lstm, peepholes": lstm_with(_peepholes),
    "lstm, coupled gates": lstm_with(_coupled),
    "lstm, layer normalization": normalized_lstm,
    "gru, layer normalization": normalized_gru,
    "slstm": slstm,
    "mlstm": mlstm,
    "min_lstm": lambda compiler: minimal(compiler(_by_logarithms)),
    "min_gru": lambda compiler: minimal(compiler(_by_logarithms)),
    "crf": lambda compiler: lambda x, *_: x,
}
