"""What PyTorch's nn.MultiheadAttention and nn.TransformerEncoderLayer answer, in float64."""

import numpy as np
import torch
from golden_group import valid_steps
from keras_attention import HEADS, trainable_kinds
from torch import nn


class TorchAttention:
    """Layers multi_head_attention or transformer_encoder, one behind the other, in the library's description."""

    PROGRAM = f"PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        self.described = description["layers"]
        features = description["input_shape"][1]
        self.rate = description["training"]["optimizer"]["learning_rate"]
        # The parameter, the rows that are ours, by the name in the library.
        self.places = {}
        self.layers = nn.ModuleList(self._made(layer, features) for layer in self.described)
        self.layers.double()
        with torch.no_grad():
            for name, (parameter, rows) in self.places.items():
                values = torch.from_numpy(initial[name].astype(np.float64))
                parameter[rows] = values.T if values.ndim == 2 else values

    def _made(self, layer, features):
        if layer["type"] == "multi_head_attention":
            made = attention = nn.MultiheadAttention(features, layer["num_heads"], batch_first=True)
        else:
            fields = {key: layer[key] for key in ("activation", "norm_first") if key in layer}
            made = nn.TransformerEncoderLayer(
                features, layer["num_heads"], layer["units"], dropout=0, batch_first=True, **fields
            )
            attention = made.self_attn
        places = {}
        for i, name in enumerate(HEADS):
            whole = ("in_proj_weight", "in_proj_bias") if i < 3 else ()
            rows = slice(i * features, (i + 1) * features) if i < 3 else slice(None)
            found = [getattr(attention, one) for one in whole] or list(attention.out_proj.parameters())
            for kind, parameter in zip(("weights", "bias"), found, strict=True):
                places[f"{name}_{kind}"] = parameter, rows
        if layer["type"] == "transformer_encoder":
            parts = {
                ("attention_gamma", "attention_beta"): made.norm1,
                ("intermediate_weights", "intermediate_bias"): made.linear1,
                ("feed_forward_weights", "feed_forward_bias"): made.linear2,
                ("feed_forward_gamma", "feed_forward_beta"): made.norm2,
            }
            for names, part in parts.items():
                places |= {name: (value, slice(None)) for name, value in zip(names, part.parameters(), strict=True)}
        assert set(places) == set(trainable_kinds(layer))
        self.places |= {f"{layer.get('name', layer['type'])}.{kind}": place for kind, place in places.items()}
        return made

    def _forward(self, batch):
        x, valid = torch.from_numpy(batch["x"]).double(), valid_steps(batch)
        steps = x.shape[1]
        self.valid = torch.ones(x.shape[:2], dtype=torch.bool) if valid is None else torch.from_numpy(valid)
        for layer, made in zip(self.described, self.layers, strict=True):
            unseen = torch.ones(steps, steps, dtype=torch.bool).triu(1) if layer.get("causal") else None
            if layer["type"] == "multi_head_attention":
                x = made(x, x, x, key_padding_mask=~self.valid, attn_mask=unseen, need_weights=False)[0]
            else:
                x = made(x, src_mask=unseen, src_key_padding_mask=~self.valid)
        return x

    def predict(self, batch):
        return self._forward(batch).detach().numpy()

    def step(self, batch):
        """One step of gradient descent: the loss before it."""
        self.layers.zero_grad()
        loss = (self._forward(batch) - torch.from_numpy(batch["y"]).double()).square().mean(-1)[self.valid].mean()
        loss.backward()
        self.gradients = self._read(lambda parameter: parameter.grad)
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter -= self.rate * parameter.grad
        return loss.item()

    def _read(self, part):
        found = {}
        for name, (parameter, rows) in self.places.items():
            values = part(parameter)[rows].detach()
            found[name] = (values.T if values.ndim == 2 else values).numpy().copy()
        return found

    def gradient(self):
        # That of a bias of all keys is 0, since it is added to all scores of a query.
        return {name: values for name, values in self.gradients.items() if not name.endswith("key_bias")}

    def parameters(self):
        return self._read(lambda parameter: parameter)
