"""What PyTorch's nn.LSTM answers, in float64, for embedding, lstm and dense layers in the library's own description."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class TorchModel(nn.Module):
    """Layouts differ: PyTorch keeps weights transposed, and two biases of which the second is held at zero here."""

    PROGRAM = f"PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        super().__init__()
        self.training_fields = description["training"]
        self.layers = nn.ModuleList()
        self.sequences = []
        self.transposed = {}  # name in the library -> (parameter, whether it lies transposed)
        for layer in description["layers"]:
            name, kind = layer.get("name", layer["type"]), layer["type"]
            if kind == "embedding":
                made = nn.Embedding(layer["vocabulary"], layer["units"])
                self.transposed[f"{name}.weights"] = (made.weight, False)
            elif kind == "lstm":
                made = nn.LSTM(initial[f"{name}.input_weights"].shape[0], layer["units"], batch_first=True)
                self.transposed[f"{name}.input_weights"] = (made.weight_ih_l0, True)
                self.transposed[f"{name}.recurrent_weights"] = (made.weight_hh_l0, True)
                self.transposed[f"{name}.bias"] = (made.bias_ih_l0, False)
                nn.init.zeros_(made.bias_hh_l0).requires_grad_(False)
            else:
                made = nn.Linear(*initial[f"{name}.weights"].shape)
                self.transposed[f"{name}.weights"] = (made.weight, True)
                self.transposed[f"{name}.bias"] = (made.bias, False)
            self.sequences.append(layer.get("return_sequences", False))
            self.layers.append(made)
        self.double()
        with torch.no_grad():
            for name, (parameter, transposed) in self.transposed.items():
                value = torch.from_numpy(initial[name].astype(np.float64))
                parameter.copy_(value.T if transposed else value)
        self.optimizer = self._optimizer()

    def _optimizer(self):
        entry = self.training_fields["optimizer"]
        trained = [parameter for parameter, _ in self.transposed.values()]
        if entry["type"] == "sgd":
            return torch.optim.SGD(
                trained,
                entry["learning_rate"],
                momentum=entry.get("momentum", 0),
                nesterov=entry.get("nesterov", False),
            )
        return torch.optim.Adam(trained, entry["learning_rate"], eps=1e-7)

    def forward(self, batch):
        lengths = batch.get("lengths")
        x = torch.from_numpy(batch["x"])
        x = x.double() if x.is_floating_point() else x.long()
        for layer, sequences in zip(self.layers, self.sequences, strict=True):
            if not isinstance(layer, nn.LSTM):
                x = layer(x)
            elif lengths is None:
                x, (last, _) = layer(x)
                x = x if sequences else last[0]
            else:
                packed, (last, _) = layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
                x = (
                    pad_packed_sequence(packed, batch_first=True, total_length=batch["x"].shape[1])[0]
                    if sequences
                    else last[0]
                )
        return x

    def predict(self, batch):
        with torch.no_grad():
            return self(batch).numpy()

    def step(self, batch):
        """One step of training: the loss before it."""
        self.optimizer.zero_grad()
        output, y = self(batch), torch.from_numpy(batch["y"])
        if self.training_fields["loss"] == "mse":
            losses = (output - y.double()).square().mean(-1)
        else:
            losses = nn.functional.cross_entropy(output.movedim(-1, 1), y.long(), reduction="none")
        if losses.ndim == 2 and "lengths" in batch:
            losses = losses[torch.arange(losses.shape[1]) < torch.from_numpy(batch["lengths"])[:, None]]
        loss = losses.mean()
        loss.backward()
        self.gradients = {
            name: (parameter.grad.T if transposed else parameter.grad).numpy().copy()
            for name, (parameter, transposed) in self.transposed.items()
        }
        if isinstance(self.optimizer, torch.optim.Adam):
            self._match_epsilon()
        self.optimizer.step()
        return loss.item()

    def _match_epsilon(self):
        """Keras adds epsilon to the root of the moment before it corrects the bias, PyTorch after."""
        steps = [int(state["step"]) for state in self.optimizer.state.values()]
        group = self.optimizer.param_groups[0]
        group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** ((steps[0] if steps else 0) + 1))

    def gradient(self):
        return self.gradients

    def parameters(self):
        return {
            name: (parameter.T if transposed else parameter).detach().numpy().copy()
            for name, (parameter, transposed) in self.transposed.items()
        }
