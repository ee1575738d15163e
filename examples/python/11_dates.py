"""An encoder and decoder with attention learn to write dates as 1987-03-05 that stand there in words and figures, and
are asked for dates they have not seen."""

import datetime
import random

import numpy as np

import lstm
from lstm.layers import LSTM, Attention, Concatenate, Dense, Embedding, Text

WAYS = (
    "{d:%B} {d.day}, {d.year}",
    "{d.day} {d:%b} {d.year}",
    "{d:%A}, {d.day} {d:%B} {d.year}",
    "{d.day}.{d.month}.{d.year}",
)
random.seed(1)
days = [datetime.date(1900, 1, 1) + datetime.timedelta(day) for day in random.sample(range(55_000), 5_000)]
written = [random.choice(WAYS).format(d=day).lower() for day in days]
wanted = [day.isoformat() for day in days]

source, target = lstm.Input((), dtype="string", name="written"), lstm.Input((), dtype="string", name="so_far")
letters, signs = sorted(set("".join(written))), sorted("0123456789-^$")
read = Embedding(2 + len(letters), 24, mask_zero=True)(Text(level="character", vocabulary=letters, length=32)(source))
keys, h, c = LSTM(64, return_sequences=True, return_state=True)(read)
so_far = Embedding(2 + len(signs), 24, mask_zero=True)(Text(level="character", vocabulary=signs, length=11)(target))
queries = LSTM(64, return_sequences=True)(so_far, initial_state=[h, c])
seen = Concatenate()([queries, Attention(use_scale=True)([queries, keys])])
model = lstm.Model([source, target], Dense(2 + len(signs))(seen), seed=1)

# Teacher forcing: at each step the decoder reads the sign that should have come before, and learns what comes next.
ahead = np.array([model.tokenize(date + "$") for date in wanted])
model.compile(lstm.optimizers.Adam(0.005), lstm.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
train, test = slice(0, -200), slice(-200, None)
model.fit([written[train], ["^" + date for date in wanted[train]]], ahead[train], batch_size=64, epochs=12, verbose=2)


def read_date(text):
    return model.generate("^", 11, source=text, temperature=0, end="$").rstrip("$")


right = sum(read_date(text) == date for text, date in zip(written[test], wanted[test]))
for text in ("thursday, 5 march 1987", "december 24, 2019"):
    print(f"{text} -> {read_date(text)}")
print(f"dates without a mistake: {right / 2:.1f} %")
if right < 180:
    raise SystemExit("it has not learned")
