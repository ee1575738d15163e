"""Golden cases of truncated backpropagation through time: losses and weights after chunks with carried states, by
Keras's stateful layers and by PyTorch with detached states."""

import zlib

import keras
import numpy as np
from golden_file import GoldenWriter
from golden_group import ADAM, DATA, SGD, initial_weights, training, uniform
from keras_reference import CELLS, RECURRENT, optimizer
from torch_carried import CarriedModel

SHAPE, CHUNK, EPOCHS = (4, 11, 3), 4, 2
LENGTHS = np.array([11, 3, 6, 0], np.int64)
STACKS = {
    "lstm": ({"type": "lstm", "units": 7},),
    "gru": ({"type": "gru", "units": 18},),
    "simple_rnn": ({"type": "simple_rnn", "units": 5},),
    "two layers": ({"type": "lstm", "units": 6}, {"type": "gru", "units": 5}),
    "learned initial state": ({"type": "lstm", "units": 5, "initial_state": "learned"},),
    "min_gru": ({"type": "min_gru", "units": 6},),
    "min_lstm": ({"type": "min_lstm", "units": 6},),
    "slstm": ({"type": "slstm", "units": 8, "heads": 2},),
    "mlstm": ({"type": "mlstm", "units": 8, "heads": 2},),
}


class StatefulKeras:
    PROGRAM = f"Keras {keras.__version__}, float64 on torch, stateful=True"

    def __init__(self, description, initial):
        *layers, last = description["layers"]
        made = [
            CELLS[layer["type"]](layer["units"], return_sequences=True, stateful=True, name=layer["name"])
            for layer in layers
        ]
        made.append(keras.layers.Dense(last["units"], name=last["name"]))
        self.model = keras.Sequential([keras.Input(batch_shape=(SHAPE[0], None, SHAPE[2])), *made])
        for layer in made:
            layer.set_weights([initial[f"{layer.name}.{kind}"] for kind in self.kinds(layer)])
        self.model.compile(loss="mse", optimizer=optimizer(description["training"]["optimizer"]))
        self.layers = made

    @staticmethod
    def kinds(layer):
        return ("weights", "bias") if isinstance(layer, keras.layers.Dense) else RECURRENT

    @property
    def weights(self):
        return {
            f"{layer.name}.{kind}": values
            for layer in self.layers
            for kind, values in zip(self.kinds(layer), layer.get_weights(), strict=True)
        }

    def reset(self):
        for layer in self.layers[:-1]:
            layer.reset_state()

    def step(self, x, valid, y):
        assert valid.all()
        self.model.reset_metrics()  # or the loss would be the mean of all so far
        return float(self.model.train_on_batch(x, y))


def case(name, stack, optimizer_entry, lengths, reference):
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    layers = [{**layer, "return_sequences": True, "name": f"r{i}"} for i, layer in enumerate(stack)]
    layers.append({"type": "dense", "units": 2, "name": "out"})
    description = {
        "input_shape": [None, SHAPE[2]],
        "layers": layers,
        "training": training("mse", optimizer_entry),
    }
    initial = initial_weights(layers, SHAPE[2], generator)
    x, y = generator.normal(size=SHAPE).astype(np.float32), uniform(generator, 1, *SHAPE[:2], 2)
    valid = np.arange(SHAPE[1]) < (LENGTHS[:, None] if lengths else np.full((SHAPE[0], 1), SHAPE[1]))
    model, losses = reference(description, dict(initial)), []
    for _ in range(EPOCHS):
        model.reset()
        for first in range(0, SHAPE[1], CHUNK):
            chunk = slice(first, first + CHUNK)
            losses.append(model.step(x[:, chunk], valid[:, chunk], y[:, chunk]))
    batch = {"x": x, "y": y, **({"lengths": LENGTHS} if lengths else {})}
    final = {name: np.array(values.tolist()) for name, values in model.weights.items()}
    return {
        "name": name,
        "program": reference.PROGRAM,
        "description": description,
        "initial": initial,
        "batch": batch,
        "chunk": CHUNK,
        "carried_losses": losses,
        "carried_weights": final,
    }


def carried_cases():
    writer = GoldenWriter()
    for kind, stack in STACKS.items():
        for lengths in (False, True):
            writer.add(case(f"{kind}{', lengths' if lengths else ''}", stack, SGD, lengths, CarriedModel))
    for kind in ("lstm", "gru", "two layers"):
        for optimizer_entry in (SGD, ADAM):
            name = f"{kind}, {optimizer_entry['type']}, Keras"
            writer.add(case(name, STACKS[kind], optimizer_entry, False, StatefulKeras))
    path = DATA / "carried.npz"
    writer.save(path)
    print(f"{path.name}: {len(writer.cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    carried_cases()
