"""What scikit-learn, sacrebleu and Levenshtein say of a model's outputs, for metrics that Keras has not."""

import Levenshtein
import numpy as np
import sacrebleu
from sklearn import metrics


def decisions(y, outputs, threshold=0.5):
    """Classes, or of many labels yes and no of each."""
    if np.issubdtype(y.dtype, np.integer):
        return y, outputs.argmax(-1)
    if outputs.shape[-1] == 1:
        return y[..., 0] > 0, outputs[..., 0] > threshold
    one_class = (y.sum(-1) == 1).all()
    return (y.argmax(-1), outputs.argmax(-1)) if one_class else (y > 0, outputs > threshold)


def score(function, average):
    def of(y, outputs):
        actual, predicted = decisions(y, outputs)
        several = {"labels": range(outputs.shape[-1])} if actual.ndim == 1 and outputs.shape[-1] > 1 else {}
        return function(actual, predicted, average=average, zero_division=0, **several)

    return of


def top(k):
    def of(y, outputs):
        labels = y if np.issubdtype(y.dtype, np.integer) else y.argmax(-1)
        return metrics.top_k_accuracy_score(labels, outputs, k=k, labels=range(outputs.shape[-1]))

    return of


def perplexity(y, outputs):
    labels = y if np.issubdtype(y.dtype, np.integer) else y.argmax(-1)
    return np.exp(metrics.log_loss(labels, outputs, labels=range(outputs.shape[-1])))


SCORES = {
    f"{name}_{average}": score(getattr(metrics, f"{name}_score"), average)
    for name in ("precision", "recall", "f1")
    for average in ("macro", "micro", "weighted")
}
SCORES |= {name: score(getattr(metrics, f"{name}_score"), "binary") for name in ("precision", "recall", "f1")}
SCORES |= {"r2": metrics.r2_score, "perplexity": perplexity, "top_k_accuracy": top(2)}


def texts(y, outputs, valid, end):
    """Each row's tokens that are no padding, up to the first that ends it: [(reference, answer), ...]."""

    def ended(tokens):
        tokens = list(tokens)
        return tokens[: tokens.index(end)] if end in tokens else tokens

    labels = y if np.issubdtype(y.dtype, np.integer) else y.argmax(-1)
    answers = outputs.argmax(-1)
    return [(ended(labels[i][v]), ended(answers[i][v])) for i, v in enumerate(valid) if v.any()]


def of_sequences(name, y, outputs, valid, end=None):
    pairs = texts(y, outputs, valid, end)
    if name == "bleu":
        lines = [[" ".join(map(str, tokens)) for tokens in side] for side in zip(*pairs, strict=True)]
        bleu = sacrebleu.corpus_bleu(lines[1], [lines[0]], smooth_method="none", tokenize="none", force=True)
        return bleu.score / 100
    distances = [Levenshtein.distance(*("".join(map(chr, side)) for side in pair)) for pair in pairs]
    return sum(distances) / (len(pairs) if name == "edit_distance" else sum(len(reference) for reference, _ in pairs))


def name_of(entry):
    return entry if isinstance(entry, str) else entry["type"]


def evaluated(entries, y, outputs, valid=None):
    """The columns of metrics in the library's description, where scikit-learn or sacrebleu has them."""
    columns = {}
    whole = np.ones(y.shape[:2] if outputs.ndim == 3 else len(y), bool) if valid is None else valid
    for entry in entries:
        name = name_of(entry)
        if name in ("bleu", "edit_distance", "token_error_rate"):
            end = None if entry == name else entry["end_token"]
            columns[name] = of_sequences(name, y, outputs, whole, end)
        elif name in SCORES:
            columns[name] = float(SCORES[name](y[whole], outputs[whole]))
    return columns


def confusion(y, outputs, valid=None):
    whole = np.ones(outputs.shape[:-1], bool) if valid is None else valid
    actual, predicted = decisions(y[whole], outputs[whole])
    return metrics.confusion_matrix(actual, predicted, labels=range(max(2, outputs.shape[-1]))).astype(np.int32)
