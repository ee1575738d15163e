"""The sentiment example on a tenth of its data: enough to run all of it, too little to learn much from."""

import csv
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE, ROOT

import lstm

SENTENCES = ["A fine film.", "Œuvre ennuyeuse, 0/10"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    for name in ("train", "validation", "test"):
        lines = (ROOT / "data" / "movie-reviews" / f"{name}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{name}.tsv").write_text("".join(lines[::10]), encoding="utf-8")
    script = ROOT / "examples" / "python" / "02_sentiment.py"
    command = [sys.executable, str(script), str(folder), str(folder), *SENTENCES]
    environment = {"PYTHONPATH": str(PACKAGE), "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, run.stdout


def test_it_prints_epochs_accuracy_and_answers(done):
    _, output = done
    epochs = re.findall(r"^Epoch (\d+)/15 .*loss \S+ - accuracy \S+ - val_loss \S+ - val_accuracy \S+$", output, re.M)
    assert epochs == [str(epoch + 1) for epoch in range(len(epochs))] and epochs
    assert re.search(r"^test accuracy \d\d\.\d % of 106 reviews$", output, re.M), output
    for sentence in SENTENCES:
        assert re.search(rf"^ *\d+\.\d % positive: {re.escape(sentence)}$", output, re.M), output


def test_its_files(done):
    folder, output = done
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == output.count("Epoch ")
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    model = lstm.load_model(folder / "sentiment.safetensors")
    vocabulary = model.layers[0].get_vocabulary()
    assert "film" in vocabulary and "Film" not in vocabulary and len(vocabulary) <= 10000
    shown = re.findall(r"([\d.]+) % positive", output)
    assert [f"{100 * answer:.1f}" for answer in model.predict(SENTENCES)[:, 0]] == shown
    if (folder / "learning-curve.png").exists():
        assert (folder / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
