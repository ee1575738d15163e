"""Golden cases of recurrent cells with layer normalization, and of group normalization."""

from cells_reference import PaperModel
from golden_cells import CLIPS, COUPLED, LEARNED, PEEPHOLES, ZONEOUT
from golden_group import ADAM, LENGTHS, MASK, SGD, Group, bidirectional, dense, gru, lstm, sequences, training

NORMALIZED = {"layer_normalization": True}
SEQUENCES = {"return_sequences": True}


def normalized_cell_cases():
    group = Group("normalized_cells", PaperModel)
    add = group.add
    for make in (lstm, gru):
        kind = make(1)["type"]
        for name, layer, shape in (
            ("sequences", make(7, **NORMALIZED, **SEQUENCES), (3, 5, 4)),
            ("backwards", make(7, go_backwards=True, **NORMALIZED, **SEQUENCES), (3, 5, 4)),
            ("19 units", make(19, **NORMALIZED, **SEQUENCES), (2, 4, 17)),
            ("epsilon", make(7, norm_epsilon=0.1, **NORMALIZED, **SEQUENCES), (3, 5, 4)),
            ("last output, many steps", make(6, **NORMALIZED), (2, 30, 3)),
        ):
            add(f"{kind}, {name}", [layer], shape)
        for given, rows in ((MASK, 6), (LENGTHS, 5)):
            padding = next(iter(given))
            add(f"{kind}, {padding}", [make(5, **NORMALIZED, **SEQUENCES), dense(2)], (rows, 6, 3), **given)
            add(f"{kind}, backwards, {padding}", [make(5, go_backwards=True, **NORMALIZED)], (rows, 6, 3), **given)
            both = bidirectional(make(5, **NORMALIZED, **LEARNED))
            add(f"{kind}, both ways, {padding}", [both, dense(2)], (rows, 6, 3), **given)
        zoneout = {"zoneout_hidden": 0.3} if make is gru else ZONEOUT
        add(f"{kind}, zoneout at rest", [make(5, **NORMALIZED, **SEQUENCES, **zoneout)], (3, 5, 4), steps=0)
    for name, fields in {
        "peepholes": PEEPHOLES,
        "coupled": COUPLED,
        "clips": CLIPS,
        "projection, peepholes, coupled, learned start": {"projection": 3, **PEEPHOLES, **COUPLED, **LEARNED},
        "without bias": {"use_bias": False},
        "silu, hard_sigmoid": {"activation": "silu", "recurrent_activation": "hard_sigmoid"},
    }.items():
        add(f"lstm, {name}", [lstm(7, **NORMALIZED, **SEQUENCES, **fields)], (3, 5, 4))
        if name in ("clips", "projection, peepholes, coupled, learned start"):
            add(f"lstm, {name}, mask", [lstm(5, **NORMALIZED, **fields), dense(2)], (6, 6, 3), **MASK)
    add("gru, clip", [gru(7, gate_clip=0.8, **NORMALIZED, **SEQUENCES)], (3, 5, 4))
    # With so few units some variances are as small as the usual epsilon, and Adam's steps then what rounding makes of
    # them: these equations end 1e-2 of the way apart in float32 and in float64.
    calm = {"norm_epsilon": 0.1, **NORMALIZED}
    two = [lstm(5, name="first", **calm, **SEQUENCES), gru(4, name="second", **calm), dense(2)]
    for optimizer in (SGD, ADAM):
        train = training("mse", optimizer)
        add(f"ten steps, {optimizer['type']}", two, (4, 5, 3), train, seed="ten", steps=10, batches=2)
    group.save()


def group_normalization_cases():
    group = Group("group_normalization")

    def normalization(groups, **fields):
        return {"type": "group_normalization", "groups": groups, **fields}

    group.add("rank 2", [normalization(2), dense(3)], (5, 6))
    group.add("rank 3", [dense(6, "tanh"), normalization(3)], (3, 5, 4), steps=3)
    group.add("rank 4", [normalization(2), dense(3)], (2, 5, 4, 6))
    group.add("one group", [normalization(1), dense(3)], (3, 5, 4))
    group.add("each feature", [normalization(-1), dense(3)], (3, 5, 4))
    group.add("default groups", [dense(64), {"type": "group_normalization"}, dense(2, name="b")], (2, 7, 4))
    group.add("wide", [normalization(2), dense(2)], (2, 9, 70))
    group.add("epsilon", [dense(6), normalization(2, epsilon=0.3), dense(2, name="b")], (4, 5, 3))
    for field in ("center", "scale"):
        group.add(f"without {field}", [normalization(2, **{field: False}), dense(2)], (3, 5, 4))
    group.add("neither", [normalization(2, center=False, scale=False)], (3, 5, 4), steps=0)
    group.add("between", [sequences(6), normalization(3), lstm(5, name="b")], (3, 5, 4))
    for given, rows in ((MASK, 6), (LENGTHS, 5)):
        padded = {**given, "reference": PaperModel}
        kind = next(iter(given))
        group.add(f"each step, {kind}", [normalization(2), dense(2)], (rows, 6, 4), valid_outputs=True, **padded)
        group.add(f"alone, {kind}", [normalization(2)], (rows, 6, 4), **padded)
        group.add(f"between, {kind}", [sequences(6), normalization(3), lstm(5, name="b")], (rows, 6, 4), **padded)
    group.save()
