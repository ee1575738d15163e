"""Opens in Python the model that the C program of `make demo` saved: the answers must have the same bits.

    python demo_check.py DATA_FOLDER OUTPUT_FOLDER

Reads sentiment.safetensors, predictions.f32 and history.csv, and draws learning-curve.png.
"""

import csv
import sys
from pathlib import Path

import matplotlib
import numpy as np

import lstm

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend comes first


def check(data: Path, output: Path) -> None:
    """Compares the predictions on the test set, bit for bit, and exits with an error if they differ."""
    texts = [line.split("\t")[1] for line in (data / "test.tsv").read_text(encoding="utf-8").splitlines()]
    from_c = np.fromfile(output / "predictions.f32", np.float32)
    from_python = lstm.load_model(output / "sentiment.safetensors").predict(texts, verbose=0).ravel()
    if from_c.tobytes() != from_python.tobytes():
        sys.exit(f"Python's answers differ from those of C: {np.sum(from_c != from_python)} of {len(texts)}")
    print(f"Python opened the file of C: {len(texts)} answers, every bit the same")


def draw(output: Path) -> None:
    """Draws loss and accuracy of training and validation data over the epochs."""
    with open(output / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = range(1, len(rows) + 1)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, [float(row[name]) for row in rows], "o-", label="training")
        axis.plot(epochs, [float(row["val_" + name]) for row in rows], "o-", label="validation")
        axis.set(title=name, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle("Film reviews: embedding, LSTM, dense")
    figure.savefig(output / "learning-curve.png", dpi=120)
    print(f"learning curve: {output / 'learning-curve.png'}")


if __name__ == "__main__":
    check(Path(sys.argv[1]), Path(sys.argv[2]))
    draw(Path(sys.argv[2]))
