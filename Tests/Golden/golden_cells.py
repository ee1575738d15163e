"""Golden cases of min_gru, min_lstm, slstm and mlstm: outputs, gradients, masks, ten steps."""

from cells_reference import CellsModel
from golden_group import ADAM, LENGTHS, MASK, SGD, Group, dense, training

# What each cell has besides the fields of all; two heads or more divide the units of all cases.
CELLS = {
    "min_gru": ({}, {"activation": "linear"}),
    "min_lstm": ({}, {"activation": "linear"}),
    "slstm": ({"heads": 2}, {"heads": 1}),
    "mlstm": ({"heads": 2}, {"heads": 1}, {"heads": 2, "key_dim": 5}, {"heads": 2, "output_gate": False}),
}


def new_cells_cases():
    group = Group("new_cells", CellsModel)
    for kind, variants in CELLS.items():
        usual = variants[0]

        def make(units, usual=usual, kind=kind, **fields):
            return {"type": kind, "units": units, **usual, **fields}

        def sequences(units, make=make, **fields):
            return make(units, return_sequences=True, **fields)

        def add(name, *arguments, kind=kind, **fields):
            group.add(f"{name} of {kind}", *arguments, **fields)

        for fields in variants:
            name = ", ".join(f"{field} {value}" for field, value in fields.items()) or "plain"
            add(f"sequences, {name}", [sequences(6, **fields)], (3, 5, 4))
        add("last output", [make(6)], (3, 5, 4))
        add("backwards", [make(6, go_backwards=True)], (3, 5, 4))
        add("backwards, sequences", [sequences(6, go_backwards=True)], (3, 5, 4))
        add("without bias", [sequences(6, use_bias=False)], (3, 5, 4))
        add("one step", [make(6)], (3, 1, 4))
        add("one row", [make(6)], (1, 5, 4))
        add("70 units", [sequences(70)], (2, 3, 2))
        add("many rows", [sequences(4)], (37, 3, 2))
        add("many steps", [sequences(8)], (2, 60, 3))
        add("two layers", [sequences(6, name="first"), make(4, name="second"), dense(2)], (3, 5, 4))
        for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
            padding = next(iter(given))
            add(f"last output, {padding}", [make(6)], shape, **given)
            add(f"sequences, {padding}", [sequences(6)], shape, **given)
            add(f"backwards, {padding}", [make(6, go_backwards=True)], shape, **given)
            add(f"two layers, {padding}", [sequences(6, name="first"), make(4, name="second")], shape, **given)
        two = [sequences(8, name="first"), make(6, name="second"), dense(3)]
        for optimizer in (SGD, ADAM):
            ten = {"steps": 10, "batches": 2, "seed": kind}
            add(f"ten steps, {optimizer['type']}", two, (4, 5, 3), training("mse", optimizer), **ten)
    group.save()
