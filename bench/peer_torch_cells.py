"""What PyTorch has no module for, written out with the products of the inputs for all timesteps at once.

x is [T, B, inputs], and what comes out [T, B, units]; weights are those of the library (docs/layers), which has the
equations too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from blocks import HEADS, UNITS
from torch import Tensor
from torch.nn.functional import layer_norm, logsigmoid, softplus

Compile = Callable[[Callable], Callable]

# MARK: Loops over time


def peepholes(s: Tensor, h: Tensor, c: Tensor, recurrent: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = torch.addmm(s, h, recurrent).chunk(4, -1)
    pi, pf, po = weights
    c = torch.sigmoid(f + pf * c) * c + torch.sigmoid(i + pi * c) * torch.tanh(g)
    return torch.sigmoid(o + po * c) * torch.tanh(c), c


def coupled(s: Tensor, h: Tensor, c: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor]:
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


def by_logarithms(gates: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
    """Heinsen 2023, as the paper and minGRU-pytorch have it."""
    odds = _odds(gates)
    of_hidden = torch.where(hidden >= 0, (hidden.relu() + 0.5).log(), -softplus(-hidden))
    kept = (-softplus(odds)).cumsum(0)
    return torch.exp(kept + torch.logcumsumexp(of_hidden - softplus(-odds) - kept, 0))


def one_by_one(gates: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
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
