"""What PyTorch says goes on inside of small models, in float64: states, gates, attention, gradients of inputs."""

import numpy as np
import torch
from torch import nn


def double(values):
    return torch.from_numpy(np.asarray(values, np.float64))


def columns(values, kind):
    """Weights [inputs, gates * units] or biases as PyTorch has them: a gru's gates r z n in place of z r n."""
    values = np.asarray(values, np.float64)
    if kind == "gru":
        z, r, n = np.split(values, 3, axis=-1)
        values = np.concatenate([r, z, n], axis=-1)
    return double(values.T if values.ndim == 2 else values)


def filled(module, kind, weights, prefix):
    """A module of PyTorch with the library's weights."""
    bias = weights[f"{prefix}bias"]
    pair = bias if kind == "gru" else (bias, np.zeros_like(bias))
    with torch.no_grad():
        places = dict(module.named_parameters())
        for name, parameter in places.items():
            if name.startswith("weight_ih"):
                parameter.copy_(columns(weights[f"{prefix}input_weights"], kind))
            elif name.startswith("weight_hh"):
                parameter.copy_(columns(weights[f"{prefix}recurrent_weights"], kind))
            else:
                parameter.copy_(columns(pair[int(name.startswith("bias_hh"))], kind))
    return module


def recurrent_inside(kind, units, x, ends, weights, prefix, backwards=False):
    """{what: values} of one direction: hidden, memory and gates, zeros behind the end of each row."""
    cell = filled({"lstm": nn.LSTMCell, "gru": nn.GRUCell}[kind](x.shape[2], units).double(), kind, weights, prefix)
    count = 4 if kind == "lstm" else 3
    shown = {"hidden": np.zeros((*x.shape[:2], units)), "gates": np.zeros((*x.shape[:2], count, units))}
    if kind == "lstm":
        shown["memory"] = np.zeros((*x.shape[:2], units))
    with torch.no_grad():
        for row, end in enumerate(ends):
            h = c = torch.zeros(1, units, dtype=torch.float64)
            for t in reversed(range(end)) if backwards else range(end):
                step = double(x[row : row + 1, t])
                given = (nn.functional.linear(step, cell.weight_ih, cell.bias_ih)).chunk(count, 1)
                kept = (nn.functional.linear(h, cell.weight_hh, cell.bias_hh)).chunk(count, 1)
                if kind == "lstm":
                    act = (torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid)
                    gates = [f(a + b) for f, a, b in zip(act, given, kept, strict=True)]
                    h, c = cell(step, (h, c))
                    shown["memory"][row, t] = c[0]
                    assert torch.allclose(gates[3] * torch.tanh(c), h, rtol=0, atol=1e-14)
                else:
                    r, z = torch.sigmoid(given[0] + kept[0]), torch.sigmoid(given[1] + kept[1])
                    gates = [z, r, torch.tanh(given[2] + r * kept[2])]
                    made = z * h + (1 - z) * gates[2]
                    h = cell(step, h)
                    assert torch.allclose(made, h, rtol=0, atol=1e-14)
                shown["hidden"][row, t], shown["gates"][row, t] = h[0], torch.cat(gates).numpy()
    return shown


def attention_inside(heads, x, ends, weights, causal):
    """The weights [B, heads, T, T] of nn.MultiheadAttention, zeros where either step is padding."""
    features, steps = x.shape[2], x.shape[1]
    module = nn.MultiheadAttention(features, heads, batch_first=True).double()
    with torch.no_grad():
        for i, name in enumerate(("query", "key", "value")):
            rows = slice(i * features, (i + 1) * features)
            module.in_proj_weight[rows] = double(weights[f"attention.{name}_weights"].T)
            module.in_proj_bias[rows] = double(weights[f"attention.{name}_bias"])
        unseen = torch.ones(steps, steps, dtype=torch.bool).triu(1) if causal else None
        valid = torch.arange(steps) < torch.from_numpy(ends)[:, None]
        given = double(x)
        found = module(given, given, given, key_padding_mask=~valid, attn_mask=unseen, average_attn_weights=False)[1]
        return torch.where(valid[:, None, :, None], found, 0.0).numpy()


class Network(nn.Module):
    """Recurrent layers behind one another and a dense layer, of the library's description."""

    def __init__(self, layers, features, weights):
        super().__init__()
        self.layers, self.modules_ = layers, nn.ModuleList()
        for layer in layers:
            kind, name = layer["type"], layer["name"]
            if kind in ("lstm", "gru"):
                made = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](features, layer["units"], batch_first=True).double()
                self.modules_.append(filled(made, kind, weights, f"{name}."))
            elif kind == "dense":
                made = nn.Linear(features, layer["units"]).double()
                with torch.no_grad():
                    made.weight.copy_(double(weights[f"{name}.weights"].T))
                    made.bias.copy_(double(weights[f"{name}.bias"]))
                self.modules_.append(made)
            else:
                self.modules_.append(nn.Identity())
            features = layer["units"]

    def forward(self, x):
        for layer, made in zip(self.layers, self.modules_, strict=True):
            if layer["type"] in ("lstm", "gru"):
                x = made(x)[0]
                x = x if layer.get("return_sequences") else x[:, -1]
            elif layer["type"] == "dense":
                x = made(x)
                act = layer.get("activation")
                x = x.softmax(-1) if act == "softmax" else x.sigmoid() if act == "sigmoid" else x
        return x


def saliency(network, x, ends, output, points):
    """The gradients of an output, a row's by itself, and integrated gradients of so many points (0: none)."""
    gradient, integrated = np.zeros(x.shape), np.zeros(x.shape)

    def slope(values):
        values = values.clone().requires_grad_()
        network(values).reshape(-1)[output].backward()
        return values.grad

    for row, end in enumerate(ends):
        own = double(x[row : row + 1, :end])
        gradient[row, :end] = slope(own)[0]
        total = sum(slope(own * ((k + 0.5) / points)) for k in range(points))
        integrated[row, :end] = (own * total / points)[0]
    return gradient, integrated
