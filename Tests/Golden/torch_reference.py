"""What PyTorch's nn.LSTM, nn.GRU and nn.RNN answer, in float64, for models in the library's own description."""

import math

import numpy as np
import torch
from golden_group import valid_steps
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Place:
    """Where a parameter of the library lies in PyTorch: weights transposed, a gru's gates in another order and the two
    rows of its biases as two parameters."""

    def __init__(self, *parameters, gates=None):
        self.parameters, self.gates = parameters, gates

    def write(self, array):
        values = self._reordered(torch.from_numpy(array.astype(np.float64)))
        for parameter, row in zip(self.parameters, values if len(self.parameters) > 1 else [values], strict=True):
            parameter.copy_(row.T if row.ndim == 2 else row)

    def read(self, part=lambda parameter: parameter.detach()):
        rows = [part(parameter) for parameter in self.parameters]
        values = torch.stack(rows) if len(rows) > 1 else rows[0].T if rows[0].ndim == 2 else rows[0]
        return self._reordered(values).numpy().copy()

    def _reordered(self, values):
        """z r n for PyTorch's r z n, and the reverse."""
        if self.gates is None:
            return values
        gates = values.chunk(len(self.gates), -1)
        return torch.cat([gates[gate] for gate in self.gates], -1)


class Untransposed(Place):
    """An embedding's."""

    def write(self, array):
        super().write(array.T)

    def read(self, *part):
        return super().read(*part).T.copy()


class TorchModel(nn.Module):
    """PyTorch's second bias of an lstm or simple_rnn, which the library does not have, is held at zero."""

    PROGRAM = f"PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        super().__init__()
        self.training_fields = description["training"]
        self.layers = nn.ModuleList()
        self.sequences = []
        self.places = {}  # by the name of the parameter in the library
        for layer in description["layers"]:
            name, kind = layer.get("name", layer["type"]), layer["type"]
            if kind == "embedding":
                made = nn.Embedding(layer["vocabulary"], layer["units"])
                self.places[f"{name}.weights"] = Untransposed(made.weight)
            elif kind == "dense":
                made = nn.Linear(*initial[f"{name}.weights"].shape)
                self.places[f"{name}.weights"] = Place(made.weight)
                self.places[f"{name}.bias"] = Place(made.bias)
            elif kind == "bidirectional":
                layer = layer["layer"]
                made = self._recurrent(layer, initial[f"{name}.forward_input_weights"].shape[0], bidirectional=True)
                self._place(made, f"{name}.forward_", "l0")
                self._place(made, f"{name}.backward_", "l0_reverse")
            else:
                made = self._recurrent(layer, initial[f"{name}.input_weights"].shape[0])
                self._place(made, f"{name}.", "l0")
            self.sequences.append(layer.get("return_sequences", False))
            self.layers.append(made)
        self.double()
        with torch.no_grad():
            for name, place in self.places.items():
                place.write(initial[name])
        self.optimizer = self._optimizer()

    @staticmethod
    def _recurrent(layer, features, **fields):
        if layer["type"] == "simple_rnn":
            fields["nonlinearity"] = layer.get("activation", "tanh")
        if "projection" in layer:
            fields["proj_size"] = layer["projection"]
        made_of = {"lstm": nn.LSTM, "gru": nn.GRU, "simple_rnn": nn.RNN}[layer["type"]]
        return made_of(features, layer["units"], batch_first=True, **fields)

    def _place(self, made, prefix, suffix):
        """The parameters of one direction, whose names in PyTorch end in `suffix`."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inputs, recurrent, bias, recurrent_bias = (getattr(made, f"{kind}_{suffix}") for kind in kinds)
        gates = (1, 0, 2) if isinstance(made, nn.GRU) else None
        if made.proj_size:
            self.places[f"{prefix}projection_weights"] = Place(getattr(made, f"weight_hr_{suffix}"))
        self.places[f"{prefix}input_weights"] = Place(inputs, gates=gates)
        self.places[f"{prefix}recurrent_weights"] = Place(recurrent, gates=gates)
        if gates:
            self.places[f"{prefix}bias"] = Place(bias, recurrent_bias, gates=gates)
        else:
            self.places[f"{prefix}bias"] = Place(bias)
            nn.init.zeros_(recurrent_bias).requires_grad_(False)

    def _optimizer(self):
        entry = self.training_fields["optimizer"]
        trained = [parameter for place in self.places.values() for parameter in place.parameters]
        self.schedule = None
        if "average_from" in entry:
            # Its own decay of weights and rate off. It averages from update t0 + 2 on.
            return torch.optim.ASGD(trained, entry["learning_rate"], lambd=0, alpha=0, t0=entry["average_from"] - 2)
        if isinstance(entry["learning_rate"], dict):
            cycle = {key: value for key, value in entry["learning_rate"].items() if key != "type"}
            optimizer = torch.optim.SGD(trained)
            most = cycle.pop("max_learning_rate")
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, most, cycle_momentum=False, **cycle)
            return optimizer
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
            if not isinstance(layer, nn.RNNBase):
                x = layer(x)
                continue
            whole = lengths is None
            given = x if whole else pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, last = layer(given)
            if sequences:
                x = y if whole else pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
            else:  # of each direction
                x = torch.cat(tuple(last[0] if isinstance(layer, nn.LSTM) else last), -1)
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
        valid = valid_steps(batch)
        if losses.ndim == 2 and valid is not None:
            losses = losses[torch.from_numpy(valid)]
        loss = losses.mean()
        loss.backward()
        self.gradients = {name: place.read(lambda parameter: parameter.grad) for name, place in self.places.items()}
        if isinstance(self.optimizer, torch.optim.Adam):
            self._match_epsilon()
        self.optimizer.step()
        if self.schedule:
            self.schedule.step()
        return loss.item()

    def _match_epsilon(self):
        """Keras adds epsilon to the root of the moment before it corrects the bias, PyTorch after."""
        steps = [int(state["step"]) for state in self.optimizer.state.values()]
        group = self.optimizer.param_groups[0]
        group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** ((steps[0] if steps else 0) + 1))

    def gradient(self):
        return self.gradients

    def average(self):
        """That of ASGD."""
        state = self.optimizer.state
        return {name: place.read(lambda parameter: state[parameter]["ax"]) for name, place in self.places.items()}

    def parameters(self):
        return {name: place.read() for name, place in self.places.items()}
