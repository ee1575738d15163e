"""Golden cases of graphs: layers that name what they read, and those that read several."""

from golden_group import LENGTHS, MASK, Group, dense, embedding, gru, lstm, sequences

MERGING = ("concatenate", "add", "subtract", "multiply", "average", "maximum", "minimum")


def graph_cases():
    group = Group("graphs")
    for kind in MERGING:
        wide = 5 if kind == "concatenate" else 7
        two = [
            sequences(7, name="a"),
            dense(wide, "tanh", inputs=["input"], name="b"),
            {"type": kind, "inputs": ["b", "a"], "name": "c"},
            lstm(5),
        ]
        for name, given in {"": {}, ", mask": MASK, ", lengths": LENGTHS}.items():
            group.add(f"{kind}{name}", two, (len(next(iter(given.values()), "xxxxx")), 6, 4), **given)
        if kind != "subtract":
            three = [
                dense(6, "tanh", name="a"),
                dense(6, "sigmoid", inputs=["input"], name="b"),
                {"type": kind, "inputs": ["a", "b", "a"], "name": "c"},
                dense(2, "tanh"),
            ]
            group.add(f"{kind} of three, one twice", three, (5, 3))
    residual = [
        embedding(11, 6, name="e"),
        sequences(6, name="first"),
        {"type": "add", "inputs": ["e", "first"], "name": "sum"},
        gru(6, return_sequences=True, name="second"),
        {"type": "add", "inputs": ["sum", "second"], "name": "more"},
        lstm(4),
    ]
    group.add("residual", residual, (4, 5), vocabulary=11)
    branches = [
        embedding(11, 6, name="e"),
        lstm(5, name="a"),
        gru(7, inputs=["e"], name="b"),
        {"type": "concatenate", "inputs": ["a", "b"], "name": "c"},
        dense(3, "sigmoid"),
    ]
    group.add("branches", branches, (4, 5), vocabulary=11)
    group.save()
