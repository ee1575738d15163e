"""Golden cases of the further losses, of weights for each timestep, and of metrics by scikit-learn and sacrebleu."""

import zlib

import numpy as np
from golden_group import ADAM, LENGTHS, MASK, Group, dense, from_logits, lstm, sequences, training, uniform

LOSSES = (  # loss, activation before it, kind of targets
    ("mape", "linear", "numbers"),
    ("msle", "linear", "counts"),
    ("log_cosh", "linear", "numbers"),
    ("poisson", "softplus", "counts"),
    ({"type": "poisson", "log_input": True}, "linear", "counts"),
    ("kl_divergence", "softmax", "distribution"),
    ("kl_divergence", "softmax", "onehot"),
    ("kl_divergence", "sigmoid", "distribution"),
    (from_logits("kl_divergence"), "linear", "distribution"),
    ("cosine_similarity", "linear", "numbers"),
    ("hinge", "linear", "binary"),
    ("squared_hinge", "tanh", "binary"),
    ("categorical_hinge", "linear", "onehot"),
    ("binary_focal_crossentropy", "sigmoid", "binary"),
    ("binary_focal_crossentropy", "hard_sigmoid", "binary"),
    ({"type": "binary_focal_crossentropy", "apply_class_balancing": True, "gamma": 1.5}, "sigmoid", "binary"),
    ({"type": "binary_focal_crossentropy", "label_smoothing": 0.2, "from_logits": True}, "linear", "binary"),
    ("categorical_focal_crossentropy", "softmax", "onehot"),
    ({"type": "categorical_focal_crossentropy", "alpha": 0.6, "gamma": 0.5}, "softplus", "distribution"),
    (from_logits("categorical_focal_crossentropy"), "linear", "onehot"),
    ({"type": "binary_crossentropy", "label_smoothing": 0.2}, "sigmoid", "binary"),
    ({"type": "binary_crossentropy", "label_smoothing": 0.2}, "hard_sigmoid", "binary"),
    ({"type": "categorical_crossentropy", "label_smoothing": 0.2}, "softmax", "onehot"),
    ({"type": "categorical_crossentropy", "label_smoothing": 0.2}, "softplus", "onehot"),
    ({"type": "sparse_categorical_crossentropy", "label_smoothing": 0.2, "from_logits": True}, "linear", "classes"),
)
FORECASTS = (  # loss, outputs for each target
    ({"type": "quantile", "quantiles": 0.3}, 1),
    ({"type": "quantile", "quantiles": [0.1, 0.5, 0.8]}, 3),
    ("gaussian_nll", 2),
    ({"type": "gaussian_nll", "min_variance": 0.3}, 2),
    ("student_t_nll", 3),
    ({"type": "student_t_nll", "degrees_of_freedom": 3.5}, 2),
    ({"type": "contrastive", "margin": 0.8}, 1),
)


def name_of(loss):
    return loss if isinstance(loss, str) else " ".join(map(str, loss.values()))


def more_loss_cases():
    group = Group("more_losses")
    weights = np.array([0.5, 2, 0, 1.25, 3])
    for loss, activation, kind in LOSSES:
        for place, layer in (("sequence", lstm(6)), ("step", sequences(6))):
            described = f"{name_of(loss)} of {activation} on {kind}, each {place}"
            fields = {"train": training(loss), "y": kind, "seed": place, "weights": weights}
            group.add(described, [layer, dense(3, activation)], (5, 4, 2), **fields)
    smoothed = training({"type": "sparse_categorical_crossentropy", "label_smoothing": 0.2})
    group.add("smoothed classes of softmax", [lstm(6), dense(3, "softmax")], (5, 4, 2), smoothed)
    group.save()


def forecast_cases():
    group = Group("forecasts")
    for loss, blocks in FORECASTS:
        for targets in (1, 3):
            for place, layer in (("sequence", lstm(6)), ("step", sequences(6))):
                described = f"{name_of(loss)} of {targets}, each {place}"
                fields = {"train": training(loss), "seed": place, "blocks": blocks}
                group.add(described, [layer, dense(targets * blocks)], (5, 4, 2), **fields)
    pairs = training({"type": "contrastive", "margin": 1.5, "pairs": True})
    group.add("contrastive pairs", [lstm(6), dense(8)], (7, 4, 2), pairs, pairs=True)
    quantiles = {"type": "quantile", "quantiles": [0.2, 0.5]}
    ten = {"steps": 10, "batches": 2}
    group.add("ten steps of quantiles", [lstm(6), dense(4)], (5, 4, 2), training(quantiles, ADAM), blocks=2, **ten)
    likely = training("student_t_nll", ADAM)
    group.add("ten steps of student_t_nll", [sequences(6), dense(3)], (5, 6, 2), likely, blocks=3, **ten, **LENGTHS)
    group.save()


def weight_cases():
    group = Group("weights")
    steps = np.arange(24).reshape(6, 4) % 5 / 2
    for loss, activation, outputs in (
        ("mse", "linear", 3),
        ("binary_crossentropy", "sigmoid", 1),
        ("categorical_crossentropy", "softmax", 3),
        ("sparse_categorical_crossentropy", "softmax", 3),
    ):
        layers, train = [sequences(6), dense(outputs, activation)], training(loss, ADAM, ["accuracy"])
        group.add(f"{loss}, each step", layers, (6, 4, 2), train, weights=steps, evaluate={"batch_size": 4})
        fit = {"epochs": 3, "batch_size": 4, "validation_split": 0.3}
        group.add(f"{loss}, each step, epochs", layers, (6, 4, 2), train, steps=0, weights=steps, fit=fit)
        if "categorical" not in loss:
            continue
        by_class = {"class_weights": [0.5, 3.0, 1.5]}
        fields = {"steps": 0, "evaluate": {"batch_size": 4, **by_class}}
        fit = {"epochs": 3, "batch_size": 4, **by_class}
        group.add(f"{loss}, classes of steps", layers, (6, 4, 2), train, fit=fit, **fields)
        group.add(f"{loss}, classes of steps, both", layers, (6, 4, 2), train, weights=steps, fit=fit, **fields)
    masked = np.arange(36).reshape(6, 6) % 5 / 2
    group.add("mse, each step, masked", [sequences(6), dense(2)], (6, 6, 2), training("mse"), weights=masked, **MASK)
    group.save()


def score_cases():
    group = Group("scores")
    averages = [f"{score}_{kind}" for score in ("precision", "recall", "f1") for kind in ("macro", "micro", "weighted")]
    binary = ["precision", "recall", "f1", *averages]
    numbers = ["mse", "rmse", "mape", "msle", "log_cosh", "poisson"]
    top = {"type": "top_k_accuracy", "k": 2}
    classes = [*averages, top, "perplexity", "kl_divergence", "cosine_similarity", "categorical_hinge"]
    sparse = [*averages, top, "perplexity", "sparse_categorical_crossentropy"]
    texts = ["edit_distance", "token_error_rate", "bleu"]
    ended = [{"type": name, "end_token": 3} for name in texts]

    def add(name, loss, metrics, outputs, activation, rows, layer=None, scale=6, **fields):
        # Outputs that spread over the whole range, so that no metric rests on one side of its threshold.
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        spread = {"dense.weights": uniform(generator, scale, 6, outputs)}
        layers, train = [layer or lstm(6), dense(outputs, activation)], training(loss, metrics=metrics)
        group.add(name, layers, (rows, 6, 2), train, steps=0, initial=spread, evaluate={"batch_size": 4}, **fields)

    entropies = ["binary_crossentropy", {"type": "binary_crossentropy", "label_smoothing": 0.2}]
    add("binary", "binary_crossentropy", [*binary, *entropies[:1]], 1, "sigmoid", 43, confusion=True)
    add("smoothed entropy", "binary_crossentropy", entropies[1:], 1, "sigmoid", 23)
    add("many labels", "binary_crossentropy", averages, 3, "sigmoid", 43)
    add("classes", "categorical_crossentropy", [*classes, "categorical_crossentropy"], 4, "softmax", 43, confusion=True)
    add("sparse classes", "sparse_categorical_crossentropy", sparse, 4, "softmax", 43, confusion=True)
    add("numbers", "mse", numbers, 3, "softplus", 23, y="counts")
    add("signs", "hinge", ["hinge", "squared_hinge"], 3, "linear", 23)
    add("share of the variance", "mse", ["r2"], 3, "linear", 23)
    add("two classes", "sparse_categorical_crossentropy", ["precision", "recall", "f1"], 2, "softmax", 43)
    forecast = {"type": "quantile", "quantiles": [0.5, 0.9]}
    add("median", forecast, ["r2"], 4, "linear", 23, blocks=2)
    add("location", "student_t_nll", ["r2"], 3, "linear", 23, blocks=3)
    per_step = {"layer": sequences(6), "confusion": True}
    add("classes of steps", "sparse_categorical_crossentropy", sparse, 4, "softmax", 7, **per_step)
    add("masked", "sparse_categorical_crossentropy", sparse, 4, "softmax", 6, **per_step, **MASK)
    text = {"layer": sequences(6)}
    for kind, rows, given in (("whole", 9, {}), ("masked", 6, MASK)):
        for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
            add(f"{loss} of texts, {kind}", loss, texts, 2, "softmax", rows, **text, **given)
            add(f"{loss} of texts, {kind}, ended", loss, ended, 4, "softmax", rows, **text, **given)
    group.save()
