"""Learns to tell good from bad film reviews out of raw text, saves the model, loads it and asks it about new sentences.

usage: 02_sentiment.py [DATA_FOLDER [OUTPUT_FOLDER [SENTENCE...]]]

DATA_FOLDER holds train.tsv, validation.tsv and test.tsv, lines of `rating<TAB>text`. Writes sentiment.safetensors,
history.csv and, where there is matplotlib, learning-curve.png to OUTPUT_FOLDER.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

import lstm
from lstm.callbacks import CSVLogger, EarlyStopping
from lstm.layers import LSTM, Dense, Dropout, Embedding, Text

SENTENCES = ["A warm, witty and wonderful film.", "Two hours of my life that I will never get back."]


def read(path):
    """The texts of a file, and 1 where the rating is above zero."""
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return [text for _, text in rows], np.array([float(rating) > 0 for rating, _ in rows])


def make_model():
    model = lstm.Sequential(
        [
            Text(max_tokens=10000, length=40),
            Embedding(10000, 100, mask_zero=True),
            LSTM(32, dropout=0.6),
            Dropout(0.5),
            Dense(1, activation="sigmoid"),
        ],
        seed=1,
    )
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def main(data=None, output=".", *sentences):
    data = Path(data or Path(__file__).parents[2] / "data" / "movie-reviews")
    output = Path(output)
    train, validation, test = (read(data / f"{name}.tsv") for name in ("train", "validation", "test"))

    model = make_model()
    model.adapt(train[0])  # the words of the training set become the vocabulary
    stop = EarlyStopping(monitor="val_accuracy", patience=3, restore_best_weights=True)
    log = CSVLogger(output / "history.csv")
    history = model.fit(*train, batch_size=64, epochs=15, validation_data=validation, callbacks=[stop, log])
    if importlib.util.find_spec("matplotlib"):
        history.plot(output / "learning-curve.png")

    result = model.evaluate(*test, return_dict=True, verbose=0)
    print(f"test accuracy {100 * result['accuracy']:.1f} % of {len(test[0])} reviews")

    model.save(output / "sentiment.safetensors")
    loaded = lstm.load_model(output / "sentiment.safetensors")  # the vocabulary is in the file
    assert np.array_equal(loaded.predict(test[0]), model.predict(test[0]))
    sentences = list(sentences or SENTENCES)
    for sentence, answer in zip(sentences, loaded.predict(sentences)[:, 0]):
        print(f"{100 * answer:5.1f} % positive: {sentence}")


if __name__ == "__main__":
    main(*sys.argv[1:])
