"""The making of golden cases: draws inputs and weights, asks the reference program, writes one file a group."""

import pathlib
import zlib

import keras_reference
import numpy as np
import score_reference
from golden_file import GoldenWriter
from keras_reference import KerasModel, keras_around, keras_attention

DATA = pathlib.Path(__file__).parent / "data"
SGD = {"type": "sgd", "learning_rate": 0.1}
ADAM = {"type": "adam", "learning_rate": 0.02}
RMSPROP = {"type": "rmsprop", "learning_rate": 0.01}

# Every kind of row: whole, padded right, padded left, gaps, one step alone, all padding.
ROWS_OF_MASK = ("111111", "111000", "001111", "100101", "000100", "000000")
MASK = {"mask": np.array([list(row) for row in ROWS_OF_MASK]).astype(np.uint8)}
LENGTHS = {"lengths": np.array([6, 1, 3, 0, 5], np.int64)}

# Of the weights of recurrent layers.
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}

# The targets that fit each loss; numbers fit the others.
TARGETS = {
    "binary_crossentropy": "binary",
    "categorical_crossentropy": "onehot",
    "categorical_focal_crossentropy": "onehot",
    "categorical_hinge": "onehot",
    "kl_divergence": "distribution",
    "binary_focal_crossentropy": "binary",
    "hinge": "binary",
    "squared_hinge": "binary",
    "contrastive": "binary",
    "poisson": "counts",
    "msle": "counts",
    "sparse_categorical_crossentropy": "classes",
}


def lstm(units, **fields):
    return {"type": "lstm", "units": units, **fields}


def sequences(units, **fields):
    return lstm(units, return_sequences=True, **fields)


def gru(units, **fields):
    return {"type": "gru", "units": units, **fields}


def simple(units, **fields):
    return {"type": "simple_rnn", "units": units, **fields}


def bidirectional(layer, merge="concat", **fields):
    return {"type": "bidirectional", "layer": layer, "merge": merge, **fields}


def dense(units, activation="linear", **fields):
    return {"type": "dense", "units": units, "activation": activation, **fields}


def embedding(vocabulary, units, **fields):
    return {"type": "embedding", "vocabulary": vocabulary, "units": units, **fields}


def training(loss="mse", optimizer=SGD, metrics=()):
    return {"loss": loss, "optimizer": optimizer, "metrics": list(metrics)}


def from_logits(loss):
    return {"type": loss, "from_logits": True}


def uniform(generator, scale, *shape):
    return generator.uniform(-scale, scale, shape).astype(np.float32)


def initial_weights(layers, features, generator):
    """Weights of usual size, biases far from zero."""
    weights, known = {}, {"input": features}
    for layer in layers:
        name, kind, units = layer.get("name", layer["type"]), layer["type"], layer.get("units")
        read = [known[source] for source in layer["inputs"]] if "inputs" in layer else [features]
        features = read[0]
        if keras_attention.is_one(layer):
            drawn, known[name] = keras_attention.drawn(layer, read, generator)
            weights |= {f"{name}.{parameter}": values for parameter, values in drawn.items()}
            features = known[name]
            continue
        if keras_around.is_one(layer):
            drawn, known[name] = keras_around.drawn(layer, features, generator)
            weights |= {f"{name}.{parameter}": values for parameter, values in drawn.items()}
            features = known[name]
            continue
        if kind in GATES:
            weights |= recurrent_weights(layer, f"{name}.", features, generator)
        elif kind in ("min_gru", "min_lstm", "slstm", "mlstm"):
            weights |= scan_weights(layer, f"{name}.", features, generator)
        elif kind == "bidirectional":
            units = (layer["layer"].get("projection") or layer["layer"]["units"]) * (
                2 if layer["merge"] == "concat" else 1
            )
            for direction in ("forward", "backward"):
                weights |= recurrent_weights(layer["layer"], f"{name}.{direction}_", features, generator)
        elif kind == "embedding":
            weights[f"{name}.weights"] = uniform(generator, 0.8, layer["vocabulary"], units)
        elif kind == "normalize":
            weights[f"{name}.mean"] = uniform(generator, 2, features)
            weights[f"{name}.variance"] = generator.uniform(0.3, 3, features).astype(np.float32)
        elif kind == "dense":
            weights[f"{name}.weights"] = uniform(generator, features**-0.5, features, units)
            if layer.get("use_bias", True):
                weights[f"{name}.bias"] = uniform(generator, 0.5, units)
        features = sum(read) if kind == "concatenate" else layer.get("projection") or units or features
        known[name] = features
    return weights


def recurrent_weights(layer, prefix, features, generator):
    """Those of a recurrent layer, named `prefix` and the kind. A gru with reset_after has two rows of biases."""
    units, gates = layer["units"], 3 if layer.get("coupled_gates") else GATES[layer["type"]]
    outputs = layer.get("projection") or units
    weights = {
        f"{prefix}input_weights": uniform(generator, features**-0.5, features, gates * units),
        f"{prefix}recurrent_weights": uniform(generator, outputs**-0.5, outputs, gates * units),
    }
    if layer.get("use_bias", True):
        rows = (2,) if layer["type"] == "gru" and layer.get("reset_after", True) else ()
        weights[f"{prefix}bias"] = uniform(generator, 0.5, *rows, gates * units)
    if layer.get("peepholes"):
        weights[f"{prefix}peepholes"] = uniform(generator, 0.7, gates - 1, units)
    if layer.get("projection"):
        weights[f"{prefix}projection_weights"] = uniform(generator, 2 * units**-0.5, units, outputs)
    if layer.get("initial_state") == "learned":
        weights[f"{prefix}initial_hidden"] = uniform(generator, 1.5, outputs)
        if layer["type"] == "lstm":
            weights[f"{prefix}initial_memory"] = uniform(generator, 1.5, units)
    if layer.get("layer_normalization"):
        for kind in ("input", "recurrent"):
            weights[f"{prefix}{kind}_gamma"] = uniform(generator, 1.5, gates * units)
        if layer["type"] == "lstm":
            weights[f"{prefix}memory_gamma"] = uniform(generator, 1.5, units)
            weights[f"{prefix}memory_beta"] = uniform(generator, 0.5, units)
    return weights


def scan_weights(layer, prefix, features, generator):
    """Those of a cell whose inputs are multiplied for all timesteps at once."""
    units, heads = layer["units"], layer.get("heads", 1)
    columns = {"min_gru": 2, "min_lstm": 3, "slstm": 4}.get(layer["type"], 0) * units
    if layer["type"] == "mlstm":
        keys, values = layer.get("key_dim", units // heads), 2 if layer.get("output_gate", True) else 1
        columns = 2 * heads * keys + values * units + 2 * heads
    weights = {f"{prefix}input_weights": uniform(generator, features**-0.5, features, columns)}
    if layer.get("use_bias", True):
        weights[f"{prefix}bias"] = uniform(generator, 0.5, columns)
    if layer["type"] == "slstm":
        weights[f"{prefix}recurrent_weights"] = uniform(generator, (units / heads) ** -0.5, units, 4 * units // heads)
    return weights


def drawn_inputs(x, vocabulary, layers, generator):
    """`x` itself if it is an array; or numbers, or tokens with a vocabulary, of the shape `x`."""
    if isinstance(x, np.ndarray):
        return x
    if vocabulary is None:
        return generator.normal(size=x).astype(np.float32)
    return generator.integers(0 if layers[0].get("mask_zero") else 1, vocabulary, x).astype(np.int32)


def drawn_targets(kind, shape, generator):
    """Targets for outputs of `shape`: any numbers, 0 or 1, counts, one-hot rows, class indices, or distributions."""
    if kind == "numbers":
        return generator.normal(size=shape).astype(np.float32)
    if kind == "binary":
        return generator.integers(0, 2, shape).astype(np.float32)
    if kind == "counts":
        return generator.poisson(2, shape).astype(np.float32)
    if kind == "distribution":
        return generator.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32)
    classes = generator.integers(0, shape[-1], shape[:-1])
    return classes.astype(np.int32) if kind == "classes" else np.eye(shape[-1], dtype=np.float32)[classes]


def valid_steps(batch):
    """[B, T]: which steps are no padding; None where nothing says so."""
    if "lengths" in batch:
        return np.arange(batch["x"].shape[1]) < batch["lengths"][:, None]
    return batch["mask"].astype(bool) if "mask" in batch else None


class Group:
    """One file of cases."""

    def __init__(self, name, reference=KerasModel):
        self.name, self.reference, self.writer = name, reference, GoldenWriter()

    def save(self):
        path = DATA / f"{self.name}.npz"
        self.writer.save(path)
        print(f"{path.name}: {len(self.writer.cases)} cases, {path.stat().st_size} bytes")

    def add(
        self,
        name,
        layers,
        x,  # an array, or the shape of one to be drawn
        train=None,
        *,
        reference=None,  # the group's, unless given
        asked=None,  # (layers, training) of the reference, where it knows the same by another description
        vocabulary=None,  # x holds tokens
        y=None,  # an array, or a kind of drawn_targets
        steps=1,
        batches=1,
        mask=None,
        lengths=None,
        weights=None,
        initial=None,
        seed=None,  # cases of one seed share inputs and weights
        evaluate=None,
        fit=None,
        average=False,  # with the average of the weights that the optimizer keeps
        first=True,  # the gradient of the first step is what the reference clips
        valid_outputs=False,  # the reference's outputs over padding are not defined
        blocks=1,  # outputs for each target
        pairs=False,  # one target for all outputs of an element
        y_lengths=None,  # labels of each row, where the loss has as many as there are
        confusion=False,
    ):
        reference = reference or self.reference
        generator = np.random.default_rng(zlib.crc32((seed or name).encode()))
        train = train or training()
        description = {"layers": layers, "training": train}
        drawn = [drawn_inputs(x, vocabulary, layers, generator) for _ in range(batches)]
        shape = drawn[0].shape
        if vocabulary is None:
            description["input_shape"] = [None, shape[2]] if len(shape) == 3 else list(shape[1:])
        initial = {**initial_weights(layers, shape[-1], generator), **(initial or {})}

        def model(described=description):
            return reference(described, initial, mask is not None or lengths is not None)

        given = {"mask": mask, "lengths": lengths}
        given = {key: value for key, value in given.items() if value is not None}
        case = {"name": name, "made_by": reference.PROGRAM, "description": description, "initial": initial}
        case["batches"] = [{"x": inputs, **given} for inputs in drawn]
        case["output"] = model().predict(case["batches"][0])
        case["valid_outputs"] = valid_outputs
        loss = train["loss"] if isinstance(train["loss"], str) else train["loss"]["type"]
        kind = y or TARGETS.get(loss, "numbers") if not isinstance(y, np.ndarray) else None
        for batch in case["batches"]:
            *axes, outputs = case["output"].shape
            shape = (*axes, 1 if pairs else outputs // blocks)
            batch["y"] = drawn_targets(kind, shape, generator) if kind else y
            if y_lengths is not None:
                batch["y_lengths"] = y_lengths
            if weights is not None:
                batch["weights"] = np.asarray(weights, np.float32)
        if steps:
            asked = asked and {**description, "layers": asked[0], "training": asked[1]}
            self._train(case, model(asked or description), steps, average=average, first=first)
        if evaluate:
            case["evaluate"] = self._evaluate(case, model(), **evaluate)
        if confusion:
            valid = valid_steps(case["batches"][0])
            case["confusion"] = score_reference.confusion(case["batches"][0]["y"], case["output"], valid)
        if fit:
            fitted = model()
            case["fit"] = {**fit, "history": fitted.fit(case["batches"][0], **fit), "final": fitted.parameters()}
        self.writer.add(case)

    @staticmethod
    def _train(case, model, steps, *, average, first):
        case["losses"], batches = [], case["batches"]
        for step in range(steps):
            case["losses"].append(model.step(batches[step % len(batches)]))
            if step == 0 and first:
                case["gradient"] = model.gradient()
        if steps > 1:
            case["final"] = model.parameters()
        if average:
            case["average"] = model.average()

    @staticmethod
    def _evaluate(case, model, of_valid=(), **options):
        batch = case["batches"][0]
        columns = model.evaluate(batch, **options)
        if of_valid:
            valid = batch["mask"].astype(bool)
            columns |= keras_reference.metrics_of(of_valid, batch["y"][valid], case["output"][valid])
        metrics, outputs = case["description"]["training"]["metrics"], case["output"]
        width = batch["y"].shape[-1] if batch["y"].ndim == outputs.ndim else outputs.shape[-1]
        others = [entry for entry in metrics if score_reference.name_of(entry) not in columns]
        columns |= score_reference.evaluated(others, batch["y"], outputs[..., :width], valid_steps(batch))
        return {**options, "columns": columns}
