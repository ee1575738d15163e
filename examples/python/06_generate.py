"""Learns from film reviews what character comes next, then writes on from prompts, a character at a time.

usage: 06_generate.py [DATA_FOLDER [PROMPT...]]
"""

import sys
from pathlib import Path

import numpy as np

import lstm
from lstm.layers import LSTM, Dense, Embedding, Text

data = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parents[2] / "data" / "movie-reviews")
texts = [line.split("\t", 1)[1] for line in (data / "train.tsv").read_text(encoding="utf-8").splitlines()]

layers = [Text(level="character", length=100), Embedding(60, 32, mask_zero=True), LSTM(128, return_sequences=True)]
model = lstm.Sequential([*layers, Dense(60)], seed=1)
model.compile(lstm.optimizers.Adam(0.01), lstm.losses.SparseCategoricalCrossentropy(from_logits=True), ["perplexity"])
model.adapt([*texts, "\n"])  # a newline ends a review

ahead = np.zeros((len(texts), 100), np.int32)  # of each character the one after it
for row, text in zip(ahead, texts):
    tokens = model.tokenize(text + "\n")[1:101]
    row[: len(tokens)] = tokens
model.fit(texts, ahead, batch_size=64, epochs=3)

for prompt in sys.argv[2:] or ["the film ", "a "]:
    print(prompt, end="")
    for character in model.generate_stream(prompt, 160, temperature=0.6, end="\n", seed=1):
        print(character, end="", flush=True)
    print()
