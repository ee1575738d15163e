"""Golden cases of the layers around the recurrent ones."""

from golden_group import LENGTHS, MASK, Group, dense, lstm, sequences


def layer_normalization_cases():
    group = Group("layer_normalization")
    normalization = {"type": "layer_normalization"}
    group.add("rank 2", [normalization, dense(3)], (5, 4))
    group.add("rank 3", [dense(7, "tanh"), normalization], (2, 5, 4))
    group.add("rank 4", [normalization, dense(2)], (2, 5, 4, 3))
    for field in ("center", "scale"):
        group.add(f"without {field}", [dense(17), {**normalization, field: False}, dense(2)], (3, 4))
    group.add("neither", [{**normalization, "center": False, "scale": False}], (3, 19), steps=0)
    group.add("epsilon", [dense(5), {**normalization, "epsilon": 0.3}], (4, 3), steps=3)
    group.add("one feature", [dense(1), normalization, dense(2)], (4, 3))
    group.add("wide", [normalization, dense(2)], (3, 70))
    for given, shape in ((MASK, (6, 6, 4)), (LENGTHS, (5, 6, 4))):
        between = [sequences(7), normalization, lstm(5)]
        group.add(f"between, {next(iter(given))}", between, shape, **given)
        group.add(f"last, {next(iter(given))}", [sequences(7), normalization], shape, valid_outputs=True, **given)
    group.save()
