"""What PyTorch's nn.MultiheadAttention and nn.TransformerEncoderLayer answer, in float64."""

import numpy as np
import torch
from keras_attention import HEADS, trainable_kinds
from torch import nn


class TorchAttention:
    """A model of one layer, multi_head_attention or transformer_encoder, in the library's description."""

    PROGRAM = f"PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        (layer,) = description["layers"]
        features = description["input_shape"][1]
        self.name, self.rate = layer["type"], description["training"]["optimizer"]["learning_rate"]
        self.causal = layer.get("causal", False)
        if layer["type"] == "multi_head_attention":
            self.layer = attention = nn.MultiheadAttention(features, layer["num_heads"], batch_first=True)
        else:
            fields = {key: layer[key] for key in ("activation", "norm_first") if key in layer}
            self.layer = nn.TransformerEncoderLayer(
                features, layer["num_heads"], layer["units"], dropout=0, batch_first=True, **fields
            )
            attention = self.layer.self_attn
        self.layer.double()
        # The parameter, the rows that are ours, by the name in the library.
        self.places = {}
        for i, name in enumerate(HEADS):
            whole = ("in_proj_weight", "in_proj_bias") if i < 3 else ()
            rows = slice(i * features, (i + 1) * features) if i < 3 else slice(None)
            found = [getattr(attention, one) for one in whole] or list(attention.out_proj.parameters())
            for kind, parameter in zip(("weights", "bias"), found, strict=True):
                self.places[f"{name}_{kind}"] = parameter, rows
        if layer["type"] == "transformer_encoder":
            parts = {
                ("attention_gamma", "attention_beta"): self.layer.norm1,
                ("intermediate_weights", "intermediate_bias"): self.layer.linear1,
                ("feed_forward_weights", "feed_forward_bias"): self.layer.linear2,
                ("feed_forward_gamma", "feed_forward_beta"): self.layer.norm2,
            }
            for names, part in parts.items():
                self.places |= {
                    name: (value, slice(None)) for name, value in zip(names, part.parameters(), strict=True)
                }
        assert set(self.places) == set(trainable_kinds(layer))
        with torch.no_grad():
            for kind, (parameter, rows) in self.places.items():
                values = torch.from_numpy(initial[f"{self.name}.{kind}"].astype(np.float64))
                parameter[rows] = values.T if values.ndim == 2 else values

    def _forward(self, batch):
        x = torch.from_numpy(batch["x"]).double()
        steps = x.shape[1]
        self.valid = torch.ones(x.shape[:2], dtype=torch.bool)
        if "lengths" in batch:
            self.valid = torch.arange(steps) < torch.from_numpy(batch["lengths"])[:, None]
        unseen = torch.ones(steps, steps, dtype=torch.bool).triu(1) if self.causal else None
        if self.name == "multi_head_attention":
            return self.layer(x, x, x, key_padding_mask=~self.valid, attn_mask=unseen, need_weights=False)[0]
        return self.layer(x, src_mask=unseen, src_key_padding_mask=~self.valid)

    def predict(self, batch):
        return self._forward(batch).detach().numpy()

    def step(self, batch):
        """One step of gradient descent: the loss before it."""
        self.layer.zero_grad()
        loss = (self._forward(batch) - torch.from_numpy(batch["y"]).double()).square().mean(-1)[self.valid].mean()
        loss.backward()
        self.gradients = self._read(lambda parameter: parameter.grad)
        with torch.no_grad():
            for parameter in self.layer.parameters():
                parameter -= self.rate * parameter.grad
        return loss.item()

    def _read(self, part):
        found = {}
        for kind, (parameter, rows) in self.places.items():
            values = part(parameter)[rows].detach()
            found[f"{self.name}.{kind}"] = (values.T if values.ndim == 2 else values).numpy().copy()
        return found

    def gradient(self):
        # That of a bias of all keys is 0, since it is added to all scores of a query.
        return {name: values for name, values in self.gradients.items() if not name.endswith("key_bias")}

    def parameters(self):
        return self._read(lambda parameter: parameter)
