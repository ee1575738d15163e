"""Golden cases of what goes beyond plain optimizers: schedules, averages, accumulation, penalties and constraints."""

import itertools

from golden_group import Group, dense, embedding, gru, lstm, sequences, training
from torch_reference import TorchModel

RULES = {
    "adamax": {"learning_rate": 0.02},
    "adamax, betas": {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.6, "epsilon": 1e-3},
    "nadam": {"learning_rate": 0.02},
    "nadam, betas": {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3},
    "adadelta": {"learning_rate": 1.0},
    "adadelta, rho": {"learning_rate": 2.0, "rho": 0.7, "epsilon": 1e-4},
    "ftrl": {"learning_rate": 0.1},
    "ftrl, strengths": {
        "learning_rate": 0.1,
        "initial_accumulator_value": 0.05,
        "l1_regularization_strength": 0.01,
        "l2_regularization_strength": 0.02,
        "l2_shrinkage_regularization_strength": 0.03,
        "beta": 0.1,
    },
    "lion": {"learning_rate": 0.01},
    "lion, betas": {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.8},
    "adafactor": {"learning_rate": 0.05},
    "adafactor, options": {
        "learning_rate": 0.9,
        "beta_2_decay": -0.5,
        "epsilon_1": 1e-6,
        "epsilon_2": 0.3,
        "clip_threshold": 0.5,
    },
}
LIMITS = {
    "free": {},
    "global_clipnorm": {"global_clipnorm": 0.15},
    "clipnorm and weight_decay": {"clipnorm": 0.1, "weight_decay": 0.3},
}
STEPS = {"initial_learning_rate": 0.5, "decay_steps": 4}
SCHEDULES = {
    "piecewise": {"type": "piecewise_constant_decay", "boundaries": [2, 5], "values": [0.5, 0.2, 0.05]},
    "exponential": {"type": "exponential_decay", **STEPS, "decay_rate": 0.4},
    "exponential staircase": {"type": "exponential_decay", **STEPS, "decay_rate": 0.4, "staircase": True},
    "inverse time": {"type": "inverse_time_decay", **STEPS, "decay_rate": 1.5},
    "inverse time staircase": {"type": "inverse_time_decay", **STEPS, "decay_rate": 1.5, "staircase": True},
    "polynomial": {"type": "polynomial_decay", **STEPS, "end_learning_rate": 0.1, "power": 2.5},
    "polynomial cycle": {"type": "polynomial_decay", **STEPS, "end_learning_rate": 0.1, "cycle": True},
    "cosine": {"type": "cosine_decay", **STEPS, "alpha": 0.1},
    "warm-up": {
        "type": "warmup",
        "initial_learning_rate": 0.1,
        "warmup_steps": 3,
        "learning_rate": {"type": "cosine_decay", **STEPS},
    },
    "restarts": {
        "type": "cosine_decay_restarts",
        "initial_learning_rate": 0.5,
        "first_decay_steps": 3,
        "t_mul": 1.5,
        "m_mul": 0.8,
        "alpha": 0.1,
    },
    "restarts of one length": {
        "type": "cosine_decay_restarts",
        "initial_learning_rate": 0.5,
        "first_decay_steps": 3,
        "t_mul": 1,
    },
}
CYCLES = {
    "one cycle": {"type": "one_cycle", "max_learning_rate": 0.5, "total_steps": 12},
    "one cycle, linear": {
        "type": "one_cycle",
        "max_learning_rate": 0.5,
        "total_steps": 10,
        "pct_start": 0.4,
        "anneal_strategy": "linear",
        "div_factor": 5,
        "final_div_factor": 20,
    },
    "one cycle, three phases": {
        "type": "one_cycle",
        "max_learning_rate": 0.5,
        "total_steps": 13,
        "pct_start": 0.35,
        "three_phase": True,
    },
}
MODEL = {"layers": [lstm(5), dense(2)], "x": (3, 4, 2), "batches": 2, "seed": "optimizers"}


def rule_cases():
    group = Group("rules")
    for (name, optimizer), (limit, limits) in itertools.product(RULES.items(), LIMITS.items()):
        optimizer = {"type": name.split(",")[0], **optimizer, **limits}
        group.add(f"{name}, {limit}", train=training("mse", optimizer), steps=10, **MODEL)
    for name in ("adamax", "nadam", "adadelta", "ftrl", "lion", "adafactor"):
        group.add(f"{name} by default", train=training("mse", name), steps=10, **MODEL)
    # A table whose rows have no gradient in most steps, and a bias of two rows.
    tokens = {"layers": [embedding(13, 6), gru(4), dense(2)], "x": (3, 4), "vocabulary": 13, "batches": 2}
    for name in ("adamax", "nadam", "adadelta", "ftrl", "lion", "adafactor"):
        optimizer = {"type": name, **RULES[name]}
        group.add(f"{name}, tokens", train=training("mse", optimizer), steps=10, seed="tokens", **tokens)
    group.save()


def schedule_cases():
    group = Group("schedules")
    for name, schedule in SCHEDULES.items():
        group.add(name, train=training("mse", {"type": "sgd", "learning_rate": schedule}), steps=12, **MODEL)
    group.add(
        "adam on a cosine",
        train=training(
            "mse", {"type": "adam", "learning_rate": {**SCHEDULES["cosine"], "initial_learning_rate": 0.02}}
        ),
        steps=12,
        **MODEL,
    )
    for name, schedule in CYCLES.items():
        optimizer = {"type": "sgd", "learning_rate": schedule}
        steps = schedule["total_steps"]
        group.add(name, train=training("mse", optimizer), steps=steps, reference=TorchModel, **MODEL)
    group.save()


def average_cases():
    group = Group("averages")
    sgd, adam = {"type": "sgd", "learning_rate": 0.3}, {"type": "adam", "learning_rate": 0.02}
    for name, optimizer in (("sgd", sgd), ("adam", adam)):
        for kind, fields in (
            ("moving", {"use_ema": True, "ema_momentum": 0.8}),
            ("overwriting", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}),
        ):
            group.add(
                f"{kind}, {name}", train=training("mse", {**optimizer, **fields}), steps=10, average=True, **MODEL
            )
        accumulating = {**optimizer, "gradient_accumulation_steps": 3}
        group.add(f"accumulating, {name}", train=training("mse", accumulating), steps=11, **MODEL)
        clipped = {**accumulating, "global_clipnorm": 0.1, "weight_decay": 0.2}
        group.add(f"accumulating, {name}, clipped", train=training("mse", clipped), steps=9, first=False, **MODEL)
        scheduled = {**accumulating, "learning_rate": {**SCHEDULES["cosine"], "initial_learning_rate": 0.1}}
        group.add(f"accumulating, {name}, scheduled", train=training("mse", scheduled), steps=6, **MODEL)
    plain = {**sgd, "average_from": 4}
    group.add("plain", train=training("mse", plain), steps=10, average=True, reference=TorchModel, **MODEL)
    group.save()


def regulation_cases():
    group = Group("regulation")
    sgd = {"type": "sgd", "learning_rate": 0.2}
    l1, l2, both = {"type": "l1", "l1": 0.05}, {"type": "l2", "l2": 0.1}, {"type": "l1_l2", "l1": 0.03, "l2": 0.07}

    def add(name, recurrent, last, optimizer=sgd, **fields):
        layers = [recurrent, dense(3, **last)]
        fit = {"epochs": 2, "batch_size": 2, "validation_split": 0.4}
        train = training("mse", optimizer, ["mae"])
        given = {"steps": 10, "seed": "regulation", "evaluate": {"batch_size": 2}, "fit": fit, **fields}
        group.add(name, layers, (5, 4, 2), train, **given)

    kinds = ("input_weights", "recurrent_weights", "bias")
    for kind, rule in (("l1", l1), ("l2", l2), ("both", both)):
        each = {"regularizers": dict.fromkeys(kinds, rule)}
        last = {"regularizers": {"weights": rule, "bias": rule}}
        add(f"{kind} of lstm", lstm(4, **each), last)
        add(f"{kind} of gru", gru(4, **each), {})
    add("l2 of inputs, clipped", lstm(4, regularizers={"input_weights": l2}), {}, {**sgd, "global_clipnorm": 0.1})
    add("l1, accumulated", lstm(4, regularizers={"bias": l1}), {}, {**sgd, "gradient_accumulation_steps": 2})
    for name, rule in (
        ("max_norm", {"type": "max_norm", "max_value": 0.6}),
        ("non_neg", {"type": "non_neg"}),
        ("unit_norm", {"type": "unit_norm"}),
        ("min_max_norm", {"type": "min_max_norm", "min_value": 0.5, "max_value": 0.9, "rate": 0.3}),
    ):
        each = dict.fromkeys(kinds, rule)
        add(name, lstm(4, constraints=each), {"constraints": {"weights": rule, "bias": rule}})
        if name != "non_neg":
            rows = {**rule, "axis": 1}
            add(
                f"{name} of rows", sequences(4, constraints={"input_weights": rows}), {"constraints": {"weights": rows}}
            )
    add(
        "both kinds of rules with an average",
        lstm(4, regularizers={"recurrent_weights": both}, constraints={"recurrent_weights": {"type": "unit_norm"}}),
        {},
        {**sgd, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 4},
        evaluate=None,
        fit=None,
    )
    tokens = embedding(
        7, 3, regularizers={"weights": l2}, constraints={"weights": {"type": "max_norm", "max_value": 1}}
    )
    group.add("table", [tokens, lstm(4), dense(1)], (5, 4), training("mse", sgd), vocabulary=7, steps=10)
    group.save()
