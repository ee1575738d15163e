"""What the papers' equations answer, in float64, and ONNX Runtime, for recurrent cells with options.

PyTorch multiplies, adds and differentiates; the equations are those of Gers & Schmidhuber 2000 (peepholes), Sak et al.
2014 (projection, cell clip), Greff et al. 2017 (coupled gates), Krueger et al. 2017 (zoneout at rest), ONNX's LSTM
(gate clip) and Ba et al. 2016 (layer normalization; of a GRU all gates together, as in haste's LayerNormGRU). Group
normalization is here for what Keras's does not have, padding.
"""

import math

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper
from torch_reference import TorchModel

FUNCTIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": torch.nn.functional.silu,
    "hard_sigmoid": torch.nn.functional.hardsigmoid,
}


class Cell:
    """The equations of one layer; `of` gives its parameters by their kinds."""

    def __init__(self, layer, of):
        self.layer, self.of = layer, of
        self.inner = FUNCTIONS[layer.get("activation", "tanh")]
        self.outer = FUNCTIONS[layer.get("recurrent_activation", "sigmoid")]

    def limited(self, z, field):
        limit = self.layer.get(field) or math.inf
        return z.clamp(-limit, limit)

    def kept(self, field, before, after):
        share = self.layer.get(field, 0)
        return share * before + (1 - share) * after

    def products(self, x, h):
        """Those of the inputs and of the state, without biases."""
        return [
            self.normalized(a @ self.of(f"{kind}_weights"), f"{kind}_gamma")
            for a, kind in ((x, "input"), (h, "recurrent"))
        ]

    def normalized(self, v, gain):
        if not self.layer.get("layer_normalization"):
            return v
        return torch.nn.functional.layer_norm(v, v.shape[-1:], self.of(gain), eps=self.layer.get("norm_epsilon", 1e-3))

    def start(self, rows):
        units, outputs = self.layer["units"], self.layer.get("projection") or self.layer["units"]
        learned = self.layer.get("initial_state") == "learned"
        h = self.of("initial_hidden") if learned else torch.zeros(outputs, dtype=torch.float64)
        c = self.of("initial_memory") if learned and self.layer["type"] == "lstm" else torch.zeros(units).double()
        return h.expand(rows, outputs), c.expand(rows, units)

    def step(self, x, h, c):
        return {"lstm": self.lstm, "gru": self.gru, "simple_rnn": self.simple}[self.layer["type"]](x, h, c)

    def lstm(self, x, h, c):
        z = sum(self.products(x, h))
        if self.layer.get("use_bias", True):
            z = z + self.of("bias")
        coupled = self.layer.get("coupled_gates", False)
        i, *f, g, o = z.chunk(3 if coupled else 4, -1)
        peepholes = self.of("peepholes") if self.layer.get("peepholes") else torch.zeros(3, 1)
        i = self.outer(self.limited(i + peepholes[0] * c, "gate_clip"))
        f = 1 - i if coupled else self.outer(self.limited(f[0] + peepholes[1] * c, "gate_clip"))
        memory = self.limited(f * c + i * self.inner(self.limited(g, "gate_clip")), "cell_clip")
        o = self.outer(self.limited(o + peepholes[-1] * memory, "gate_clip"))
        shown = self.normalized(memory, "memory_gamma")
        hidden = o * self.inner(shown + self.of("memory_beta") if self.layer.get("layer_normalization") else shown)
        if self.layer.get("projection"):
            hidden = hidden @ self.of("projection_weights")
        return self.kept("zoneout_hidden", h, hidden), self.kept("zoneout_memory", c, memory)

    def gru(self, x, h, c):
        bias, after = self.of("bias"), self.layer.get("reset_after", True)
        inputs, state = self.products(x, h)
        xz, xr, xn = (inputs + (bias[0] if after else bias)).chunk(3, -1)
        hz, hr, hn = (state + (bias[1] if after else 0)).chunk(3, -1)
        z, r = (self.outer(self.limited(gate, "gate_clip")) for gate in (xz + hz, xr + hr))
        reset = r * hn if after else (r * h) @ self.of("recurrent_weights").chunk(3, -1)[2]
        n = self.inner(self.limited(xn + reset, "gate_clip"))
        return self.kept("zoneout_hidden", h, z * h + (1 - z) * n), c

    def simple(self, x, h, c):
        return self.inner(x @ self.of("input_weights") + self.of("bias") + h @ self.of("recurrent_weights")), c


class PaperModel(TorchModel):
    """Trained as `TorchModel`; parameters lie as in the library."""

    PROGRAM = f"the papers' equations in PyTorch {torch.__version__.split('+')[0]}, float64"

    def __init__(self, description, initial, masked):
        torch.nn.Module.__init__(self)
        self.training_fields, self.described = description["training"], description["layers"]
        self.values = {name: torch.from_numpy(array.astype(np.float64)) for name, array in initial.items()}
        for value in self.values.values():
            value.requires_grad_(True)
        self.places = {name: Held(value) for name, value in self.values.items()}
        self.optimizer = self._optimizer()

    def forward(self, batch):
        x = torch.from_numpy(batch["x"]).double()
        valid = torch.ones(x.shape[:2], dtype=torch.bool)
        if "mask" in batch:
            valid = torch.from_numpy(batch["mask"]).bool()
        if "lengths" in batch:
            valid = torch.arange(x.shape[1]) < torch.from_numpy(batch["lengths"])[:, None]
        for layer in self.described:
            name = layer.get("name", layer["type"])
            if layer["type"] == "dense":
                x = x @ self.values[f"{name}.weights"] + self.values[f"{name}.bias"]
            elif layer["type"] == "group_normalization":
                x = torch.stack([self._grouped(layer, name, row, steps) for row, steps in zip(x, valid, strict=True)])
            elif layer["type"] == "bidirectional":
                x = torch.cat(
                    [self._run(layer["layer"], f"{name}.{way}_", x, valid) for way in ("forward", "backward")], -1
                )
            else:
                x = self._run(layer, f"{name}.", x, valid)
        return x

    def _grouped(self, layer, name, row, valid):
        """Group normalization (Wu & He 2018) of the valid steps of a row [timesteps, features]; zeros at the others."""
        parts = row[valid].reshape(-1, layer["groups"], row.shape[-1] // layer["groups"])
        parts = parts - parts.mean((0, 2), keepdim=True)
        parts = parts / (parts.square().mean((0, 2), keepdim=True) + layer.get("epsilon", 1e-3)).sqrt()
        made = parts.flatten(1) * self.values[f"{name}.gamma"] + self.values[f"{name}.beta"]
        return torch.zeros_like(row).index_copy(0, valid.nonzero()[:, 0], made)

    def _run(self, layer, prefix, x, valid):
        cell = Cell(layer, lambda kind: self.values[prefix + kind])
        h, c = cell.start(len(x))
        outputs = [h] * x.shape[1]
        backwards = layer.get("go_backwards") or prefix.endswith("backward_")
        for t in sorted(range(x.shape[1]), reverse=backwards):
            going = valid[:, t, None]
            next_h, next_c = cell.step(x[:, t], h, c)
            h, c = torch.where(going, next_h, h), torch.where(going, next_c, c)
            outputs[t] = h
        if not layer.get("return_sequences"):
            return h
        return torch.stack(outputs[::-1] if layer.get("go_backwards") else outputs, 1)


class Held:
    """A parameter that PyTorch holds as the library does."""

    def __init__(self, value):
        self.parameters = [value]

    def read(self, part=lambda parameter: parameter.detach()):
        return part(self.parameters[0]).numpy().copy()


class OnnxModel:
    """ONNX Runtime's LSTM operator, in float32: one layer that returns sequences."""

    PROGRAM = f"ONNX Runtime {onnxruntime.__version__}, float32"

    def __init__(self, description, initial, masked):
        (self.layer,) = description["layers"]
        self.initial = initial

    def predict(self, batch):
        units, fields = self.layer["units"], {"input_forget": int(self.layer.get("coupled_gates", False))}
        if self.layer.get("gate_clip"):
            fields["clip"] = float(self.layer["gate_clip"])

        def gates(kind):  # i o f c, of which coupled gates have no f
            parts = np.split(self.initial[f"lstm.{kind}"], 3 if fields["input_forget"] else 4, -1)
            i, *f, g, o = parts
            return np.concatenate([i, o, f[0] if f else np.zeros_like(i), g], -1)

        weights = {name: gates(f"{kind}_weights").T for name, kind in (("W", "input"), ("R", "recurrent"))}
        weights["B"] = np.concatenate([gates("bias"), np.zeros(4 * units, np.float32)])
        if self.layer.get("peepholes"):  # i o f
            i, *f, o = self.initial["lstm.peepholes"]
            weights["P"] = np.concatenate([i, o, f[0] if f else np.zeros_like(i)])
        inputs = ["X", "W", "R", "B", "", "", "", "P" if "P" in weights else ""]
        node = helper.make_node("LSTM", inputs, ["Y"], hidden_size=units, **fields)
        x = np.ascontiguousarray(batch["x"].swapaxes(0, 1))
        graph = helper.make_graph(
            [node],
            "lstm",
            [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(np.ascontiguousarray(w[None]), name) for name, w in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"X": x})[0][:, 0].swapaxes(0, 1)
