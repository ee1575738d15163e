"""What the packages of their papers answer for slstm, mlstm, min_gru and min_lstm, in float64.

Of xlstm the vanilla sLSTM and the mLSTM in parallel form (without the epsilon that its divisor has beside the paper's),
of minGRU-pytorch the scan in logarithms. Each row goes alone, with its valid steps.
"""

import importlib.metadata

import numpy as np
import torch
from golden_group import valid_steps
from minGRU_pytorch.minGRU import heinsen_associative_scan_log, log_g
from torch import nn
from torch.nn.functional import softplus
from torch_reference import Place, TorchModel
from xlstm.blocks.mlstm.backends import parallel_stabilized_simple
from xlstm.blocks.slstm.src.vanilla import slstm_forward, slstm_pointwise_function_registry

VERSIONS = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("xlstm", "minGRU-pytorch"))


class Plain(Place):
    """A parameter that is kept as the library has it."""

    def write(self, array):
        self.parameters[0].copy_(torch.from_numpy(array.astype(np.float64)))

    def read(self, part=lambda parameter: parameter.detach()):
        return part(self.parameters[0]).numpy().copy()


class Cell(nn.Module):
    """A layer of this library by name, [1, timesteps, inputs] -> [1, timesteps, units]."""

    def __init__(self, layer, parameters):
        super().__init__()
        self.layer, self.heads = layer, layer.get("heads", 1)
        for kind, array in parameters.items():
            self.register_parameter(kind, nn.Parameter(torch.zeros(array.shape, dtype=torch.float64)))

    def forward(self, x):
        products = x @ self.input_weights
        return getattr(self, self.layer["type"])(products + self.bias if hasattr(self, "bias") else products)

    def mixed(self, log_old, log_new, x):
        if self.layer.get("activation", "g") == "g":
            return heinsen_associative_scan_log(log_old, log_new + log_g(x))
        # The difference of two scans of positive numbers: the scan is linear in what is mixed.
        parts = [
            heinsen_associative_scan_log(log_old, log_new + part.log()) for part in (x.abs() + x + 1, x.abs() - x + 1)
        ]
        return (parts[0] - parts[1]) / 2

    def min_gru(self, x):
        gate, hidden = x.chunk(2, -1)
        return self.mixed(-softplus(gate), -softplus(-gate), hidden)

    def min_lstm(self, x):
        i_gate, f_gate, hidden = x.chunk(3, -1)
        difference = softplus(-f_gate) - softplus(-i_gate)
        return self.mixed(-softplus(difference), -softplus(-difference), hidden)

    def slstm(self, x):
        units, width = self.layer["units"], self.layer["units"] // self.heads
        blocks = self.recurrent_weights.reshape(self.heads, width, 4 * width).transpose(1, 2)
        # That of the bias is in the products already.
        states = torch.zeros(4, 1, units, dtype=torch.float64)
        bias = torch.zeros(4 * units, dtype=torch.float64)
        states = slstm_forward(x.transpose(0, 1), states, blocks, bias, slstm_pointwise_function_registry["slstm"])[0]
        return states[0, 1:].transpose(0, 1)

    def mlstm(self, x):
        units, heads = self.layer["units"], self.heads
        keys = heads * self.layer.get("key_dim", units // heads)
        has_gate = self.layer.get("output_gate", True)
        q, k, v, o, i, f = x.split([keys, keys, units, units if has_gate else 0, heads, heads], -1)
        q, k, v, i, f = (
            part.reshape(1, -1, heads, part.shape[-1] // heads).transpose(1, 2) for part in (q, k, v, i, f)
        )
        h = parallel_stabilized_simple(q, k, v, i, f, eps=0).transpose(1, 2).reshape(1, -1, units)
        return torch.sigmoid(o) * h if has_gate else h


class CellsModel(TorchModel):
    PROGRAM = f"{VERSIONS} on PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        nn.Module.__init__(self)
        self.training_fields = description["training"]
        self.layers = nn.ModuleList()
        self.described = description["layers"]
        self.places = {}
        for layer in self.described:
            name = layer.get("name", layer["type"])
            kinds = {
                key.removeprefix(f"{name}."): array for key, array in initial.items() if key.startswith(f"{name}.")
            }
            if layer["type"] == "dense":
                made = nn.Linear(*kinds["weights"].shape)
                places = {"weights": Place(made.weight), "bias": Place(made.bias)}
            else:
                made = Cell(layer, kinds)
                places = {kind: Plain(getattr(made, kind)) for kind in kinds}
            self.places |= {f"{name}.{kind}": place for kind, place in places.items()}
            self.layers.append(made)
        self.double()
        with torch.no_grad():
            for name, place in self.places.items():
                place.write(initial[name])
        self.optimizer = self._optimizer()

    def forward(self, batch):
        x, valid = torch.from_numpy(batch["x"]).double(), valid_steps(batch)
        valid = np.ones(x.shape[:2], bool) if valid is None else valid
        for layer, made in zip(self.described, self.layers, strict=True):
            if isinstance(made, nn.Linear):
                x = made(x)
                continue
            back = layer.get("go_backwards", False)
            rows = [self._row(made, x[row : row + 1], valid[row], back) for row in range(len(x))]
            x = torch.cat(rows)
            if not layer.get("return_sequences", False):
                x = x[:, -1]
        return x

    @staticmethod
    def _row(cell, x, valid, back):
        """The outputs after each step, in the order in which they are taken; over padding the last one."""
        steps = np.arange(len(valid))[::-1].copy() if back else np.arange(len(valid))
        taken = steps[valid[steps]]
        outputs = cell(x[:, taken]) if len(taken) else None
        zero = torch.zeros(1, cell.layer["units"], dtype=torch.float64)
        reached = np.cumsum(valid[steps]) - 1
        return torch.stack([outputs[:, place] if place >= 0 else zero for place in reached], 1)
