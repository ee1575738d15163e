"""What Keras answers for models with several inputs or outputs, or with states that go from layer to layer."""

import keras_reference as reference
import numpy as np
from keras_reference import PADDING, KerasModel, keras


class KerasMany:
    """A Keras model built from the library's description; a batch holds dicts by the names of inputs and outputs."""

    PROGRAM = KerasModel.PROGRAM

    def __init__(self, description, initial, masked=()):
        """`masked` are the names of the inputs with padding."""
        self.known, self.inputs, self.tokens = {}, {}, set()
        layers = description["layers"]
        readers = {name: layer["type"] for layer in layers for name in layer.get("inputs", ())}
        for one in description["inputs"]:
            name = one["name"]
            is_tokens = readers[name] == "embedding"
            self.tokens |= {name} if is_tokens else set()
            x = keras.Input(one["shape"], dtype="int32" if is_tokens else None, name=name)
            self.inputs[name] = x
            is_masked = name in masked and not is_tokens
            self.known[name] = keras.layers.Masking(mask_value=PADDING)(x) if is_masked else x
        self.outputs = description.get("outputs", [layers[-1]["name"]])
        named = [*self.outputs, *(name for layer in layers for name in layer.get("inputs", ()))]
        self.with_states = {name.split(".")[0] for name in named if "." in name}
        self.variables, self.moving, last = {}, {}, None
        for layer in layers:
            last = self._add(layer, last, initial, masked)
        self.model = keras.Model(self.inputs, [self.known[name] for name in self.outputs])
        for name, variable in self.variables.items():
            variable.assign(initial[name].astype(np.float64))
        self.shapes = {name: initial[name].shape for name in self.variables}
        if "training" in description:
            self._compile(description["training"])

    def _add(self, layer, last, initial, masked):
        names = layer.get("inputs", [last])
        described = {key: value for key, value in layer.items() if key not in ("inputs", "name")}
        states = ("hidden", "memory")
        if layer["name"] in self.with_states:
            inner = described.get("layer", described)
            inner = {**inner, "return_state": True}
            described = {**described, "layer": inner} if "layer" in described else inner
        if layer["type"] == "bidirectional":
            each = states[: 2 if layer["layer"]["type"] == "lstm" else 1]
            states = [f"{way}_{state}" for way in ("forward", "backward") for state in each]
        made = KerasModel._layer(described, initial, layer["type"] == "embedding" and names[0] in masked)
        made.name = layer["name"]
        read = [self.known[name] for name in names]
        if layer["type"] in ("lstm", "gru"):
            y = made(read[0], initial_state=read[1:] or None)
        else:
            y = made(read if len(read) > 1 else read[0])
        if layer["name"] in self.with_states:
            for state, value in zip(states, y[1:], strict=False):
                self.known[f"{layer['name']}.{state}"] = value
            y = y[0]
        self.known[layer["name"]] = y
        for kind, variable in zip(reference.kinds(layer), made.trainable_weights, strict=False):
            self.variables[f"{layer['name']}.{kind}"] = variable
        return layer["name"]

    def _compile(self, training):
        losses, metrics = training["loss"], training.get("metrics")
        several = len(self.outputs) > 1
        each = losses if several and isinstance(losses, dict) else dict.fromkeys(self.outputs, losses)
        metrics = metrics if several else {self.outputs[0]: metrics or []}
        self.model.compile(
            loss=[reference.made(reference.LOSSES, each[name]) for name in self.outputs],
            loss_weights=[training["loss_weights"].get(name, 1) for name in self.outputs]
            if training.get("loss_weights")
            else None,
            optimizer=reference.optimizer(training["optimizer"]),
            metrics=[[reference.made_metric(one) for one in (metrics or {}).get(name, ())] for name in self.outputs],
        )

    def x(self, batch):
        given = {}
        for name, x in batch["x"].items():
            mask = batch.get("mask", {}).get(name)
            if name in batch.get("lengths", {}):
                mask = np.arange(x.shape[1]) < batch["lengths"][name][:, None]
            x = x.astype(np.float64) if x.dtype == np.float32 else x
            if mask is not None:
                x = np.where(mask, x, 0) if x.ndim == 2 else np.where(np.asarray(mask, bool)[..., None], x, PADDING)
            given[name] = x
        return given

    def y(self, batch):
        given = [batch["y"][name] for name in self.outputs]
        return [y.astype(np.float64) if y.dtype == np.float32 else y for y in given]

    def weights(self, batch):
        if "weights" not in batch:
            return None
        weights = []
        for name, y in zip(self.outputs, self.y(batch), strict=True):
            one = batch["weights"].get(name, np.ones(len(y))).astype(np.float64)
            # The weight of a sample is that of all its steps; Keras wants it for each.
            sequences = len(self.model.outputs[self.outputs.index(name)].shape) == 3 and one.ndim == 1
            weights.append(np.repeat(one[:, None], y.shape[1], axis=1) if sequences else one)
        return weights

    def predict(self, batch):
        made = self.model(self.x(batch), training=False)
        made = made if isinstance(made, (list, tuple)) else [made]
        return {name: np.asarray(one.detach().numpy()) for name, one in zip(self.outputs, made, strict=True)}

    def step(self, batch):
        self.model.reset_metrics()
        weights = self.weights(batch)
        logs = self.model.train_on_batch(self.x(batch), self.y(batch), weights, return_dict=True)
        return float(logs["loss"])

    gradient = KerasModel.gradient
    parameters = KerasModel.parameters

    def evaluate(self, batch, batch_size):
        logs = self.model.evaluate(
            self.x(batch),
            self.y(batch),
            sample_weight=self.weights(batch),
            batch_size=batch_size,
            verbose=0,
            return_dict=True,
        )
        return {key: float(value) for key, value in logs.items()}

    def fit(self, batch, **options):
        weights = self.weights(batch)
        history = self.model.fit(
            self.x(batch), self.y(batch), sample_weight=weights, shuffle=False, verbose=0, **options
        )
        return {key: [float(value) for value in values] for key, values in history.history.items()}
