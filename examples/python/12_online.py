"""Online learning: a model of letters goes on learning while it is used, and what it reads changes under way.

    python 12_online.py FOLDER          the folder data/movie-reviews

Film reviews come letter by letter; in the middle somebody presses the caps lock. Each block of letters is first
predicted (so many bits a letter it takes to say what comes next) and then learned from. A second thread asks the same
model all the time, and never waits.
"""

import sys
import threading
from pathlib import Path

import numpy as np

import lstm
from lstm.layers import GRU, Dense, Embedding

LETTERS = 128
BLOCK = 50
BEFORE, AFTER = 400, 400

text = " ".join(line.split("\t")[1] for line in (Path(sys.argv[1]) / "train.tsv").read_text().splitlines())
text = text.encode("ascii", "replace").decode()
known, new = text[:100_000], text[100_000 : 100_000 + BLOCK * (BEFORE + AFTER)]
new = new[: BLOCK * BEFORE] + new[BLOCK * BEFORE :].upper()


def tokens(letters):
    return np.frombuffer(letters.encode("ascii"), np.uint8).astype(np.float32)


model = lstm.Sequential(
    [Embedding(LETTERS, 16), GRU(64, return_sequences=True), Dense(LETTERS, activation="softmax")], seed=1
)
model.compile(lstm.optimizers.Adam(0.004), "sparse_categorical_crossentropy")
rows = tokens(known).reshape(-1, BLOCK)
model.fit(rows[:, :-1], rows[:, 1:], epochs=3, verbose=0)


def bits(stream, block, following):
    """What it takes to say the letters that follow those of a block."""
    chosen = stream.process(block)[np.arange(len(block)), following.astype(int)]
    return -np.log2(np.maximum(chosen, 1e-9)).mean()


answers, is_over = [], threading.Event()


def serve():
    """Somebody else's questions to the model, from another thread."""
    while not is_over.is_set():
        answers.append(model.predict(rows[:1], verbose=0)[0, -1].argmax())


served, frozen = model.stream(), lstm.from_bytes(model.to_bytes()).stream()
served.keep(BLOCK)
letters, costs = tokens(new), []
with model.learner() as learner:
    reader = threading.Thread(target=serve)
    reader.start()
    for first in range(0, len(letters) - BLOCK, BLOCK):
        block, following = letters[first : first + BLOCK], letters[first + 1 : first + BLOCK + 1]
        costs.append((bits(served, block, following), bits(frozen, block, following)))
        learner.learn(served)  # what comes next in the letters that the stream has read last
        learner.publish()
    is_over.set()
    reader.join()

for name, part in (("before", costs[:BEFORE]), ("caps lock", costs[BEFORE : BEFORE + 100]), ("later", costs[-200:])):
    learned, stayed = np.mean(part, axis=0)
    print(f"{name:10} learning {learned:.2f} bits a letter, frozen {stayed:.2f}")
print(f"meanwhile another thread had {len(answers)} answers of {len(set(answers))} kinds")
sys.exit(int(np.mean(costs[-200:], axis=0)[0] > 5))
