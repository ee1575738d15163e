"""What Keras 3 answers, in float64 on its PyTorch backend, for a model in the library's own description."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras  # noqa: E402  (the backend is chosen by the environment, before the import)
import keras_around  # noqa: E402
import keras_attention  # noqa: E402
import numpy as np  # noqa: E402
from keras.src.backend.common import dtypes  # noqa: E402
from loss_reference import TABLE, divergence_of_logits, poisson_of_logarithms, smoothed_classes  # noqa: E402

keras.config.set_floatx("float64")
# Or Keras, on this backend, would round the factors of every product of two float64 matrices to float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

PADDING = -987.0  # the value by which Keras's Masking layer knows a step of padding; no input has it

RECURRENT = ("input_weights", "recurrent_weights", "bias")
CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}
KINDS = {**dict.fromkeys(CELLS, RECURRENT), "dense": ("weights", "bias"), "embedding": ("weights",)}

LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "mape": keras.losses.MeanAbsolutePercentageError,
    "msle": keras.losses.MeanSquaredLogarithmicError,
    "log_cosh": keras.losses.LogCosh,
    "cosine_similarity": keras.losses.CosineSimilarity,
    "hinge": keras.losses.Hinge,
    "squared_hinge": keras.losses.SquaredHinge,
    "categorical_hinge": keras.losses.CategoricalHinge,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    # What Keras has, and with these options has not.
    "sparse_categorical_crossentropy": lambda **options: (
        smoothed_classes(**options)
        if "label_smoothing" in options
        else keras.losses.SparseCategoricalCrossentropy(**options)
    ),
    "poisson": lambda **options: poisson_of_logarithms(**options) if options else keras.losses.Poisson(),
    "kl_divergence": lambda **options: divergence_of_logits(**options) if options else keras.losses.KLDivergence(),
    **TABLE,
}
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adagrad": keras.optimizers.Adagrad,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
    "adadelta": keras.optimizers.Adadelta,
    "ftrl": keras.optimizers.Ftrl,
    "lion": keras.optimizers.Lion,
    "adafactor": keras.optimizers.Adafactor,
}
SCHEDULES = {
    "piecewise_constant_decay": keras.optimizers.schedules.PiecewiseConstantDecay,
    "exponential_decay": keras.optimizers.schedules.ExponentialDecay,
    "inverse_time_decay": keras.optimizers.schedules.InverseTimeDecay,
    "polynomial_decay": keras.optimizers.schedules.PolynomialDecay,
    "cosine_decay": keras.optimizers.schedules.CosineDecay,
    "cosine_decay_restarts": keras.optimizers.schedules.CosineDecayRestarts,
}
MERGING = {
    "concatenate": keras.layers.Concatenate,
    "add": keras.layers.Add,
    "subtract": keras.layers.Subtract,
    "multiply": keras.layers.Multiply,
    "average": keras.layers.Average,
    "maximum": keras.layers.Maximum,
    "minimum": keras.layers.Minimum,
}
REGULARIZERS = {"l1": keras.regularizers.L1, "l2": keras.regularizers.L2, "l1_l2": keras.regularizers.L1L2}
CONSTRAINTS = {
    "max_norm": keras.constraints.MaxNorm,
    "non_neg": keras.constraints.NonNeg,
    "unit_norm": keras.constraints.UnitNorm,
    "min_max_norm": keras.constraints.MinMaxNorm,
}
# What Keras calls the kinds of parameters in its layers' arguments.
ARGUMENTS = {"input_weights": "kernel", "recurrent_weights": "recurrent", "weights": "kernel", "bias": "bias"}
METRICS = {
    "binary_accuracy": keras.metrics.BinaryAccuracy,
    "categorical_accuracy": keras.metrics.CategoricalAccuracy,
    "sparse_categorical_accuracy": keras.metrics.SparseCategoricalAccuracy,
    "mse": keras.metrics.MeanSquaredError,
    "mae": keras.metrics.MeanAbsoluteError,
    "rmse": keras.metrics.RootMeanSquaredError,
    "mape": keras.metrics.MeanAbsolutePercentageError,
    "msle": keras.metrics.MeanSquaredLogarithmicError,
    "log_cosh": keras.metrics.LogCoshError,
    "poisson": keras.metrics.Poisson,
    "kl_divergence": keras.metrics.KLDivergence,
    "cosine_similarity": keras.metrics.CosineSimilarity,
    "hinge": keras.metrics.Hinge,
    "squared_hinge": keras.metrics.SquaredHinge,
    "categorical_hinge": keras.metrics.CategoricalHinge,
    "binary_crossentropy": keras.metrics.BinaryCrossentropy,
    "categorical_crossentropy": keras.metrics.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.metrics.SparseCategoricalCrossentropy,
    "precision": keras.metrics.Precision,
    "recall": keras.metrics.Recall,
    "auc": keras.metrics.AUC,
}


def fields(entry, *without):
    return {key: value for key, value in entry.items() if key not in ("type", "name", "inputs", *without)}


def made(table, entry):
    """An object of the table from "name" or {"type": "name", ...}."""
    entry = {"type": entry} if isinstance(entry, str) else entry
    return table[entry["type"]](**fields(entry))


def optimizer(entry):
    entry = {"type": entry} if isinstance(entry, str) else entry
    rate = entry.get("learning_rate")
    if isinstance(rate, dict) and rate["type"] == "warmup":  # which Keras has for one schedule
        then = rate["learning_rate"]
        target = {"warmup_steps": rate["warmup_steps"], "warmup_target": then["initial_learning_rate"]}
        rate = {**then, **target, "initial_learning_rate": rate["initial_learning_rate"]}
    return made(OPTIMIZERS, {**entry, "learning_rate": made(SCHEDULES, rate)} if isinstance(rate, dict) else entry)


def rules(layer):
    """The arguments of a Keras layer for its 'regularizers' and 'constraints'."""
    arguments = {}
    for field, table in (("regularizer", REGULARIZERS), ("constraint", CONSTRAINTS)):
        for kind, rule in layer.get(f"{field}s", {}).items():
            prefix = "embeddings" if layer["type"] == "embedding" else ARGUMENTS[kind]
            arguments[f"{prefix}_{field}"] = made(table, rule)
    return arguments


def is_keras_metric(entry, training):
    """False: Keras has none such, or not of class indices; score_reference.py is asked."""
    name = entry if isinstance(entry, str) else entry["type"]
    if name in ("precision", "recall"):
        return training["loss"] != "sparse_categorical_crossentropy"
    return name == "accuracy" or name in METRICS


def made_metric(entry):
    if isinstance(entry, str):
        return entry if entry == "accuracy" else METRICS[entry](name=entry)
    return METRICS[entry["type"]](name=entry["type"], **fields(entry))


def kinds(layer):
    """The kinds of a layer's trainable parameters, in Keras's order."""
    for others in (keras_around, keras_attention):
        if others.is_one(layer):
            return others.trainable_kinds(layer)
    if layer["type"] != "bidirectional":
        return KINDS.get(layer["type"], ())
    each = RECURRENT if layer["layer"].get("use_bias", True) else RECURRENT[:2]
    return [f"{direction}_{kind}" for direction in ("forward", "backward") for kind in each]


class Separate(keras.layers.Bidirectional):
    """Keras's two outputs of a Bidirectional that merges nothing, beside each other on an axis before the units."""

    def call(self, sequences, initial_state=None, mask=None, training=None):
        return keras.ops.stack(super().call(sequences, initial_state, mask, training), axis=-2)

    def compute_output_shape(self, input_shape):
        *rest, units = super().compute_output_shape(input_shape)[0]
        return (*rest, 2, units)


class KerasModel:
    """A Keras model built from the library's description, with weights of the library's names and layouts."""

    PROGRAM = f"Keras {keras.__version__}, PyTorch backend, float64"

    def __init__(self, description, initial, masked=False):
        layers = description["layers"]
        tokens = layers[0]["type"] == "embedding"
        x = keras.Input([None] if tokens else description["input_shape"], dtype="int32" if tokens else None)
        y = keras.layers.Masking(mask_value=PADDING)(x) if masked and not tokens else x
        outputs, built = {"input": y}, []
        for layer in layers:
            built.append((layer, self._layer(layer, initial, masked)))
            read = [outputs[name] for name in layer["inputs"]] if "inputs" in layer else [y]
            y = built[-1][1](read if len(read) > 1 else read[0])
            outputs[layer.get("name", layer["type"])] = y
        self.model = keras.Model(x, y)
        self.variables, self.moving = {}, {}
        for layer, keras_layer in built:
            # What attention is composed of has no such list, nor such weights.
            if moving := keras_around.moving_kinds(layer):
                for kind, variable in zip(moving, keras_layer.non_trainable_weights, strict=False):
                    self.moving[f"{layer.get('name', layer['type'])}.{kind}"] = variable
            for kind, variable in zip(kinds(layer), keras_layer.trainable_weights, strict=False):
                self.variables[f"{layer.get('name', layer['type'])}.{kind}"] = variable
        for name, variable in {**self.variables, **self.moving}.items():
            # The library's matrices are arrays of a head's own axis in Keras.
            variable.assign(initial[name].astype(np.float64).reshape(variable.shape))
        self.shapes = {name: initial[name].shape for name in (*self.variables, *self.moving)}
        training = description["training"]
        self.model.compile(
            loss=made(LOSSES, training["loss"]),
            optimizer=optimizer(training["optimizer"]),
            metrics=[made_metric(entry) for entry in training.get("metrics", []) if is_keras_metric(entry, training)],
        )

    @staticmethod
    def _layer(layer, initial, masked):
        kind = layer["type"]
        for others in (keras_around, keras_attention):
            if others.is_one(layer):
                return others.made(layer)
        if kind == "embedding":
            # A mask given to the library beside the tokens is told to Keras by tokens that are 0.
            return keras.layers.Embedding(
                layer["vocabulary"], layer["units"], mask_zero=layer.get("mask_zero", False) or masked, **rules(layer)
            )
        if kind in CELLS:
            return CELLS[kind](**fields(layer, "regularizers", "constraints"), **rules(layer))
        if kind == "bidirectional":
            wrapper = Separate if layer["merge"] is None else keras.layers.Bidirectional
            return wrapper(KerasModel._layer(layer["layer"], initial, masked), merge_mode=layer["merge"])
        if kind == "dense":
            return keras.layers.Dense(**fields(layer, "regularizers", "constraints"), **rules(layer))
        if kind == "dropout":
            return keras.layers.Dropout(layer["rate"])
        if kind == "activation":
            return keras.layers.Activation(layer["activation"])
        if kind in MERGING:
            return MERGING[kind]()
        name = layer.get("name", kind)
        return keras.layers.Normalization(mean=initial[f"{name}.mean"], variance=initial[f"{name}.variance"])

    def inputs(self, batch):
        """The batch's x as Keras takes it: padding is token 0 or the value of the Masking layer."""
        x, mask = batch["x"], batch.get("mask")
        if "lengths" in batch:
            mask = np.arange(x.shape[1]) < batch["lengths"][:, None]
        if x.dtype == np.float32:
            x = x.astype(np.float64)
        if mask is None:
            return x
        if x.ndim == 2:
            return np.where(mask, x, 0)
        return np.where(np.asarray(mask, bool)[..., None], x, PADDING)

    def predict(self, batch):
        return np.asarray(self.model(self.inputs(batch), training=False).detach().numpy())

    def step(self, batch):
        """One step of training: the loss before it."""
        self.model.reset_metrics()  # or the loss would be the mean over all steps so far
        return float(
            self.model.train_on_batch(self.inputs(batch), targets(batch), self.weights(batch), return_dict=True)["loss"]
        )

    def weights(self, batch):
        weights = batch.get("weights")
        if weights is None:
            return None
        weights = weights.astype(np.float64)
        if len(self.model.output_shape) == 2 or weights.ndim == 2:
            return weights
        # The weight of a sample is that of all its steps; Keras wants it for each, as [B, T].
        return np.repeat(weights[:, None], batch["x"].shape[1], axis=1)

    def gradient(self):
        """The gradient of the last step, after clipping."""
        raw = [variable.value.grad for variable in self.variables.values()]
        return {
            name: gradient.detach().numpy().reshape(self.shapes[name]).copy()
            for name, gradient in zip(self.variables, self.model.optimizer._clip_gradients(raw), strict=True)
            # That of a bias of all keys is 0, since it is added to all scores of a query.
            if not name.endswith("key_bias")
        }

    def parameters(self):
        return {
            name: variable.value.detach().numpy().reshape(self.shapes[name]).copy()
            for name, variable in {**self.variables, **self.moving}.items()
        }

    def average(self):
        """The moving average that the optimizer keeps of the weights."""
        trained = self.model.optimizer._trainable_variables
        averages = dict(zip(map(id, trained), self.model.optimizer._model_variables_moving_average, strict=True))
        return {name: averages[id(one)].value.detach().numpy().copy() for name, one in self.variables.items()}

    def evaluate(self, batch, batch_size, class_weights=None):
        weights = self.weights(batch)
        if class_weights is not None:
            weights = np.asarray(class_weights)[labels(batch["y"])] * (1 if weights is None else weights)
        logs = self.model.evaluate(
            self.inputs(batch),
            targets(batch),
            sample_weight=weights,
            batch_size=batch_size,
            verbose=0,
            return_dict=True,
        )
        return {key: float(value) for key, value in logs.items()}

    def fit(self, batch, class_weights=None, **options):
        weights = self.weights(batch)
        if class_weights is not None and len(self.model.output_shape) == 3:
            # Keras's class weights are for one label a sample.
            weights = np.asarray(class_weights)[labels(batch["y"])] * (1 if weights is None else weights)
            class_weights = None
        history = self.model.fit(
            self.inputs(batch),
            targets(batch),
            sample_weight=weights,
            class_weight=None if class_weights is None else dict(enumerate(class_weights)),
            shuffle=False,
            verbose=0,
            **options,
        )
        return {key: [float(value) for value in values] for key, values in history.history.items()}


class KerasModelFloat32(KerasModel):
    """Keras in its default precision: where it clips probabilities, 1 - 1e-7 is a float32 number of its own."""

    PROGRAM = f"Keras {keras.__version__}, PyTorch backend, float32"

    def __init__(self, *arguments):
        keras.config.set_floatx("float32")
        try:
            super().__init__(*arguments)
        finally:
            keras.config.set_floatx("float64")


def targets(batch):
    return batch["y"].astype(np.float64) if batch["y"].dtype == np.float32 else batch["y"]


def labels(y):
    """The class of each sample, as Keras finds it for class weights, or of each timestep."""
    if y.dtype == np.int32 and y.ndim == 2:
        return y
    y = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y))
    return y.astype(int)


def metrics_of(names, y, predictions):
    """The metrics of the entries that are given: Keras's precision, recall and AUC know no masks."""
    values = {}
    for name in names:
        metric = METRICS[name]()
        metric.update_state(y, predictions)
        values[name] = float(metric.result())
    return values
