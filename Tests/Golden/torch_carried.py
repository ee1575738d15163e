"""Recurrent layers step by step in PyTorch, float64, from the equations of their papers, with states that are carried
from chunk to chunk as constants."""

import math

import torch
from torch.nn import functional


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def lstm(x, w, state):
    h, c = state
    i, f, g, o = (x @ w["input_weights"] + h @ w["recurrent_weights"] + w["bias"]).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(x, w, state):
    (h,) = state
    zx, rx, nx = (x @ w["input_weights"] + w["bias"][0]).chunk(3, -1)
    zh, rh, nh = (h @ w["recurrent_weights"] + w["bias"][1]).chunk(3, -1)
    z, r = torch.sigmoid(zx + zh), torch.sigmoid(rx + rh)
    return (z * h + (1 - z) * torch.tanh(nx + r * nh),)


def simple_rnn(x, w, state):
    return (torch.tanh(x @ w["input_weights"] + state[0] @ w["recurrent_weights"] + w["bias"]),)


def min_gru(x, w, state):
    z, n = (x @ w["input_weights"] + w["bias"]).chunk(2, -1)
    return (torch.lerp(state[0], torch.where(n >= 0, n + 0.5, torch.sigmoid(n)), torch.sigmoid(z)),)


def min_lstm(x, w, state):
    i, f, n = (x @ w["input_weights"] + w["bias"]).chunk(3, -1)
    i, f = torch.sigmoid(i), torch.sigmoid(f)
    return (torch.lerp(state[0], torch.where(n >= 0, n + 0.5, torch.sigmoid(n)), i / (f + i)),)


def slstm(x, w, state):
    """Of two heads: the recurrent weights of a head are [units / 2, gates of units / 2]."""
    h, c, n, m = state
    blocks = zip(h.chunk(2, -1), w["recurrent_weights"].chunk(2, 0), strict=True)
    products = [(own @ block).chunk(4, -1) for own, block in blocks]
    inputs = (x @ w["input_weights"] + w["bias"]).chunk(4, -1)
    i, f, z, o = (inputs[gate] + torch.cat([head[gate] for head in products], -1) for gate in range(4))
    kept = functional.logsigmoid(f) + m
    m = torch.maximum(kept, i)
    new, old = torch.exp(i - m), torch.exp(kept - m)
    c, n = old * c + new * torch.tanh(z), old * n + new
    return torch.sigmoid(o) * c / n, c, n, m


def mlstm(x, w, state):
    """Of two heads."""
    h, memory, n, m = state
    batch, units = h.shape
    keys = units // 2
    sizes = (units, units, units, units, 2, 2)
    q, k, v, o, i, f = (x @ w["input_weights"] + w["bias"]).split(sizes, -1)
    q, k, v = (values.reshape(batch, 2, keys) for values in (q, k / math.sqrt(keys), v))
    kept = functional.logsigmoid(f) + m
    m = torch.maximum(kept, i)
    new, old = torch.exp(i - m), torch.exp(kept - m)
    memory = old[..., None, None] * memory + new[..., None, None] * k[..., None] * v[..., None, :]
    n = old[..., None] * n + new[..., None] * k
    divisor = torch.maximum((n * q).sum(-1).abs(), torch.exp(-m))
    read = torch.einsum("bhkv,bhk->bhv", memory, q) / divisor[..., None]
    return torch.sigmoid(o) * read.reshape(batch, units), memory, n, m


CELLS = {
    "lstm": (lstm, lambda b, u: ((b, u), (b, u))),
    "gru": (gru, lambda b, u: ((b, u),)),
    "simple_rnn": (simple_rnn, lambda b, u: ((b, u),)),
    "min_gru": (min_gru, lambda b, u: ((b, u),)),
    "min_lstm": (min_lstm, lambda b, u: ((b, u),)),
    "slstm": (slstm, lambda b, u: ((b, u),) * 4),
    "mlstm": (mlstm, lambda b, u: ((b, u), (b, 2, u // 2, u // 2), (b, 2, u // 2), (b, 2))),
}


class CarriedModel:
    """Recurrent layers that return sequences, and a dense layer behind them."""

    PROGRAM = f"PyTorch {torch.__version__.split('+')[0]}, float64, the papers' equations"

    def __init__(self, description, initial):
        self.layers = description["layers"]
        self.weights = {name: tensor(values).requires_grad_() for name, values in initial.items()}
        rate = description["training"]["optimizer"]["learning_rate"]
        self.optimizer = torch.optim.SGD(list(self.weights.values()), rate)
        self.states = None

    def reset(self):
        self.states = None

    def own(self, layer):
        prefix = f"{layer['name']}."
        return {name[len(prefix) :]: values for name, values in self.weights.items() if name.startswith(prefix)}

    def start(self, layer, batch):
        w = self.own(layer)
        if "initial_hidden" in w:
            return tuple(w[f"initial_{kind}"].expand(batch, -1) for kind in ("hidden", "memory"))
        shapes = CELLS[layer["type"]][1](batch, layer["units"])
        return tuple(torch.zeros(shape, dtype=torch.float64) for shape in shapes)

    def step(self, x, valid, y):
        """An update on a chunk; the loss before it."""
        x, valid = tensor(x), torch.tensor(valid)
        states = self.states or [self.start(layer, len(x)) for layer in self.layers[:-1]]
        states, outputs = [list(state) for state in states], []
        for t in range(x.shape[1]):
            value = x[:, t]
            for layer, state in zip(self.layers[:-1], states, strict=True):
                made = CELLS[layer["type"]][0](value, self.own(layer), state)
                for place, (new, old) in enumerate(zip(made, state, strict=True)):
                    state[place] = torch.where(valid[:, t].reshape(-1, *[1] * (new.ndim - 1)), new, old)
                value = state[0]
            w = self.own(self.layers[-1])
            outputs.append(value @ w["weights"] + w["bias"])
        errors = ((torch.stack(outputs, 1) - tensor(y)) ** 2).mean(-1)
        loss = errors[valid].sum() / valid.sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.states = [[value.detach() for value in state] for state in states]
        return loss.item()
