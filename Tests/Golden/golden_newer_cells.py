"""Golden cases of min_gru, min_lstm, slstm and mlstm: outputs, gradients, masks, ten steps."""

import numpy as np
from golden_group import ADAM, LENGTHS, MASK, SGD, Group, dense, training
from newer_cells_reference import CellsModel

# What each cell has besides the fields of all; two heads or more divide the units of all cases.
CELLS = {
    "min_gru": ({}, {"activation": "linear"}),
    "min_lstm": ({}, {"activation": "linear"}),
    "slstm": ({"heads": 2}, {"heads": 1}),
    "mlstm": ({"heads": 2}, {"heads": 1}, {"heads": 2, "key_dim": 5}, {"heads": 2, "output_gate": False}),
}


def minimal_cases():
    group = Group("minimal", CellsModel)
    for kind in ("min_gru", "min_lstm"):
        cell_cases(group, kind)
        # So long that errors of rounding would add up, with gates that keep what they have for fifty steps.
        columns = 2 if kind == "min_gru" else 3
        slow = {f"{kind}.bias": np.array([[-4, 0.5], [-4, 1, 0.5]][columns - 2], np.float32)}
        layer = {"type": kind, "units": 1, "return_sequences": True}
        group.add(f"4000 steps of {kind}", [layer], (1, 4000, 1), seed="long", initial=slow)
    group.save()


def xlstm_cases():
    group = Group("xlstm", CellsModel)
    for kind in ("slstm", "mlstm"):
        cell_cases(group, kind)
    group.save()


def cell_cases(group, kind):
    usual = CELLS[kind][0]

    def make(units, **fields):
        return {"type": kind, "units": units, **usual, **fields}

    def sequences(units, **fields):
        return make(units, return_sequences=True, **fields)

    def add(name, *arguments, **fields):
        group.add(f"{name} of {kind}", *arguments, **fields)

    for fields in CELLS[kind]:
        name = ", ".join(f"{field} {value}" for field, value in fields.items()) or "plain"
        add(f"sequences, {name}", [sequences(6, **fields)], (3, 5, 4))
    add("last output", [make(6)], (3, 5, 4))
    add("backwards", [make(6, go_backwards=True)], (3, 5, 4))
    add("backwards, sequences", [sequences(6, go_backwards=True)], (3, 5, 4))
    add("without bias", [sequences(6, use_bias=False)], (3, 5, 4))
    add("one step", [make(6)], (3, 1, 4))
    add("one row", [make(6)], (1, 5, 4))
    add("36 units", [sequences(36)], (2, 3, 2))
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
    add("ten steps", two, (4, 5, 3), training("mse", SGD), steps=10, batches=2)
    if kind == "slstm":
        # A bias of the gates i multiplies c and n by the same, and h is their ratio: its gradient is zero, and what
        # rounding leaves of it, 1e-10, Adam divides by 1e-7. So in float32 the package itself ends 3e-5 to 2e-4 of the
        # way from where it does in float64.
        two = [sequences(8, use_bias=False, name="first"), make(6, use_bias=False, name="second"), dense(3)]
    add("ten steps of adam", two, (4, 5, 3), training("mse", ADAM), steps=10, batches=2)
