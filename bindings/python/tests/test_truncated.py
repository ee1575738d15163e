"""Truncated backpropagation through time: fit(bptt_steps=), Trainer with states carried, and what cannot carry them."""

import numpy as np
import pytest
from conftest import same_weights
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm
from lstm import UnsupportedError
from lstm.callbacks import Callback
from lstm.layers import (
    GRU,
    LSTM,
    MLSTM,
    SLSTM,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPooling1D,
    LayerNormalization,
    MinLSTM,
    MultiHeadAttention,
    SimpleRNN,
)


def tagger(*layers, features=2, **compiled):
    """A model with an output for each timestep."""
    middle = layers or (LSTM(5, return_sequences=True), Dropout(0.2), GRU(4, return_sequences=True))
    model = lstm.Sequential([*middle, Dense(1)], seed=3)
    model._borrow(np.zeros((1, 4, features), np.float32))
    model.compile(**{"optimizer": "adam", "loss": "mse", **compiled})
    return model


def series(rows=7, steps=23, features=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, steps, features)).astype(np.float32)
    return x, np.cumsum(x[..., :1], 1) / 4


def by_hand(model, x, y, size, lengths=None, batch=4, epochs=1, threads=0):
    losses = []
    with model.trainer(threads, carry=True) as trainer:
        for _ in range(epochs):
            for first in range(0, len(x), batch):
                trainer.reset_state()
                for start in range(0, x.shape[1], size):
                    rows, chunk = slice(first, first + batch), slice(start, start + size)
                    steps = x[rows, chunk].shape[1]
                    own = None if lengths is None else np.clip(lengths[rows] - start, 0, steps)
                    losses.append(trainer.step(x[rows, chunk], y[rows, chunk], lengths=own))
    return losses


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.booleans(), st.integers(1, 3), st.integers(0, 5))
def test_fit_is_the_loop_by_hand(size, rows, padded, threads, seed):
    x, y = series(rows, seed=seed)
    lengths = np.random.default_rng(seed).integers(0, 24, rows) if padded else None
    model, other = tagger(), tagger()
    model.fit(x, y, 4, 2, 0, shuffle=False, bptt_steps=size, lengths=lengths, threads=threads)
    by_hand(other, x, y, size, lengths, epochs=2)
    assert same_weights(model, other)


def test_a_mask_says_what_lengths_say():
    x, y = series()
    lengths = np.array([23, 0, 5, 9, 10, 1, 17])
    model, other = tagger(), tagger()
    model.fit(x, y, 4, 2, 0, bptt_steps=5, lengths=lengths)
    other.fit(x, y, 4, 2, 0, bptt_steps=5, mask=np.arange(23) < lengths[:, None])
    assert same_weights(model, other)


def test_gaps_and_weights_of_steps():
    """What stands over padding is not read, wherever it is; weights of steps are those of their chunk."""
    x, y = series()
    generator = np.random.default_rng(1)
    mask, weights = generator.random(x.shape[:2]) < 0.6, generator.random(x.shape[:2])
    model, other = tagger(), tagger()
    model.fit(x, y, 7, 2, 0, shuffle=False, bptt_steps=6, mask=mask, sample_weight=weights)
    x[~mask], weights[~mask] = np.nan, -1
    with other.trainer(carry=True) as trainer:
        for _ in range(2):
            trainer.reset_state()
            for start in range(0, 23, 6):
                own = slice(start, start + 6)
                trainer.step(x[:, own], y[:, own], weights[:, own], mask=np.ascontiguousarray(mask[:, own]))
    assert same_weights(model, other)


def test_a_chunk_goes_on_where_the_one_before_ended():
    """With a learning rate of 0 the losses of chunks are those of the whole, which they are not without states."""
    x, y = series()
    model = tagger(LSTM(5, return_sequences=True), optimizer=lstm.optimizers.SGD(0.0))
    whole = (model.predict(x, verbose=0) - y) ** 2
    losses = by_hand(model, x, y, 6, batch=7)
    assert losses == pytest.approx([whole[:, start : start + 6].mean() for start in range(0, 23, 6)], rel=1e-5)
    with model.trainer() as trainer:
        assert trainer.step(x[:, 6:12], y[:, 6:12]) != pytest.approx(losses[1], rel=1e-3)
    history = model.fit(x, y, 7, 1, 0, bptt_steps=6, validation_data=(x, y))
    assert history.history["loss"] == pytest.approx(history.history["val_loss"], rel=1e-5)


CELLS = {
    "peepholes": lambda: LSTM(5, peepholes=True, return_sequences=True),
    "projection": lambda: LSTM(6, projection=3, return_sequences=True),
    "coupled gates, clipped": lambda: LSTM(5, coupled_gates=True, cell_clip=0.9, return_sequences=True),
    "normalized": lambda: LSTM(5, layer_normalization=True, return_sequences=True),
    "learned state": lambda: GRU(5, initial_state="learned", return_sequences=True),
    "reset before": lambda: GRU(5, reset_after=False, return_sequences=True),
    "normalized gru": lambda: GRU(5, layer_normalization=True, return_sequences=True),
    "relu": lambda: SimpleRNN(5, activation="softplus", return_sequences=True),
    "slstm": lambda: SLSTM(6, heads=2, return_sequences=True),
    "mlstm": lambda: MLSTM(6, heads=2, return_sequences=True),
    "min_lstm": lambda: MinLSTM(5, return_sequences=True),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [None, [14, 9, 7, 12, 8, 14, 10]])
def test_gradients_of_a_chunk_are_those_of_its_loss(cell, lengths):
    """With the states from before as constants: by differences of the loss along the gradient."""
    x, y = series(steps=14)
    model = tagger(CELLS[cell](), GRU(4, return_sequences=True), optimizer=lstm.optimizers.SGD(0.0))
    base = [weights * 1.0 for weights in model.get_weights()]
    ends = None if lengths is None else np.array(lengths)

    def loss(weights):
        trainer.reset_state()
        model.set_weights(base)
        trainer.step(x[:, :6], y[:, :6])
        model.set_weights(weights)
        return trainer.step(x[:, 6:], y[:, 6:], lengths=None if ends is None else ends - 6)

    with model.trainer(carry=True) as trainer:
        whole = (model.predict(x, verbose=0) - y)[:, 6:] ** 2
        valid = np.ones((7, 8), bool) if ends is None else np.arange(8) < ends[:, None] - 6
        assert loss(base) == pytest.approx(whole[valid].mean(), rel=1e-5)
        gradients = [trainer.gradient(name) for name in model.weight_shapes]
        norm = np.sqrt(sum((gradient.astype(float) ** 2).sum() for gradient in gradients))
        ahead, behind = ([w + sign * 0.01 / norm * g for w, g in zip(base, gradients)] for sign in (1, -1))
        assert (loss(ahead) - loss(behind)) / 0.02 == pytest.approx(norm, rel=2e-3)


def test_threads_change_nothing():
    x, y = series(rows=40, steps=30)
    models = [tagger(SLSTM(8, heads=2, return_sequences=True), LSTM(64, return_sequences=True)) for _ in range(3)]
    for threads, model in enumerate(models, 1):
        model.fit(x, y, 40, 2, 0, bptt_steps=7, threads=threads)
        assert same_weights(model, models[0])


def test_training_resumes_in_mid_epoch(tmp_path):
    x, y = series(rows=12)
    whole, stopped = tagger(), tagger()
    whole.fit(x, y, 4, 2, 0, bptt_steps=5)

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 1:
                self.model.save(tmp_path / "model.safetensors")
                self.model.stop_training = True

    stopped.fit(x, y, 4, 1, 0, [Stop()], bptt_steps=5)
    loaded = lstm.load_model(tmp_path / "model.safetensors")
    loaded.fit(x, y, 4, 2, 0, bptt_steps=5, resume=True)
    assert same_weights(whole, loaded)


def test_a_generator_of_long_batches():
    x, y = series(rows=8)
    model, other = tagger(), tagger()
    model.fit(x, y, 4, 1, 0, shuffle=False, bptt_steps=5)
    batches = ((x[first : first + 4], y[first : first + 4]) for first in (0, 4))
    other.fit(batches, verbose=0, shuffle=False, bptt_steps=5)
    assert same_weights(model, other)


def test_tokens_and_a_sum_over_more_steps_than_a_chunk():
    """Whether a token was there long ago: only a state that is carried tells."""
    generator = np.random.default_rng(2)
    x = generator.integers(2, 6, (64, 40))
    x[:32, 0] = 1
    y = np.repeat((np.arange(64) < 32)[:, None], 40, 1)
    model = lstm.Sequential([Embedding(6, 4), LSTM(12, return_sequences=True), Dense(1, activation="sigmoid")], seed=1)
    model.compile(lstm.optimizers.Adam(0.02), "binary_crossentropy", ["accuracy"])
    history = model.fit(x, y, 16, 30, 0, bptt_steps=8)
    assert history.history["accuracy"][-1] > 0.99


def test_several_inputs_and_outputs():
    x, y = series()

    def made(*others):
        sequence = lstm.Input((None, 2))
        hidden = LSTM(4, return_sequences=True)(sequence)
        outputs = [Dense(1, name="a")(hidden), Dense(1, name="b")(GRU(3, return_sequences=True)(hidden))]
        return lstm.Model([sequence, *others], outputs + [Dense(2, name="c")(other) for other in others])

    model = made(lstm.Input((3,)))
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match=r"bptt_steps: expected outputs for each timestep, got \(2,\)"):
        model.fit([x, np.zeros((7, 3))], [y, y, np.zeros((7, 2))], verbose=0, bptt_steps=5)
    model = made()
    model.compile("sgd", "mse")
    losses = model.fit(x, [y, 2 * y], epochs=3, verbose=0, bptt_steps=5).history["loss"]
    assert losses[2] < losses[1] < losses[0]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Bidirectional(LSTM(3, return_sequences=True), name="two"), '"two" needs the whole sequence at once .bidirect'),
        (LSTM(3, return_sequences=True, go_backwards=True, name="back"), '"back".*go_backwards'),
        (Conv1D(3, 2, padding="causal", name="window"), '"window" looks back at timesteps that are not carried'),
        (Conv1D(3, 2, padding="same", name="window"), '"window" needs the whole sequence'),
    ],
)
def test_layers_that_cannot_carry_are_named(layer, message):
    x, y = series()
    model = tagger(layer, LSTM(3, return_sequences=True))
    with pytest.raises(UnsupportedError, match=f"carried states: layer {message}"):
        model.fit(x, y, verbose=0, bptt_steps=4)
    with pytest.raises(UnsupportedError, match=f"carried states: layer {message}"):
        model.trainer(carry=True)
    model.fit(x, y, verbose=0)  # it may be trained again


def test_attention_and_pooling_cannot_carry():
    inputs = lstm.Input((None, 4))
    model = lstm.Model(inputs, MultiHeadAttention(2, 2, name="mix")([inputs, inputs]))
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match='layer "mix" needs the whole sequence'):
        model.trainer(carry=True)
    model = lstm.Sequential([GlobalMaxPooling1D(input_shape=(None, 2), name="most"), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match='layer "most" looks back'):
        model.trainer(carry=True)


def test_states_that_go_from_layer_to_layer_cannot_be_carried():
    inputs = lstm.Input((None, 2))
    _, h, c = LSTM(3, return_state=True, name="encoder")(inputs)
    hidden = LSTM(3, return_sequences=True)(inputs, initial_state=[h, c])
    model = lstm.Model(inputs, Dense(1)(hidden))
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match='states that go from layer to layer, got those of "encoder"'):
        model.trainer(carry=True)


def test_what_is_refused():
    x, y = series()
    model = tagger(SimpleRNN(3, return_sequences=True), LayerNormalization())
    for wrong, error in ((-1, ValueError), (2**32, ValueError), (1.5, TypeError), ("all", TypeError)):
        with pytest.raises(error, match="bptt_steps"):
            model.fit(x, y, verbose=0, bptt_steps=wrong)
    with model.trainer(carry=True) as trainer:
        loss = trainer.step(x[:, :4], y[:, :4])
        before = [values.copy() for values in model.get_weights()]
        with pytest.raises(ValueError, match=r"expected 7 samples, whose states are carried .*, got 3"):
            trainer.step(x[:3, 4:8], y[:3, 4:8])
        assert trainer.step(x[:, 4:8], y[:, 4:8], lengths=np.zeros(7, int)) == 0
        assert all(map(np.array_equal, model.get_weights(), before))
        trainer.reset_state()
        assert trainer.step(x[:3, :4], y[:3, :4]) != loss
    with model.trainer() as trainer, pytest.raises(ValueError, match="expected one that carries states"):
        trainer.reset_state()
    last = lstm.Sequential([LSTM(3, input_shape=(None, 2)), Dense(1)])
    last.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match="expected outputs for each timestep"):
        last.fit(x, y[:, -1], verbose=0, bptt_steps=4)
    tokens = tagger(metrics=["mae"])
    tokens.fit(x, y, verbose=0, bptt_steps=100)


def test_errors_name_the_step_of_the_whole():
    x, y = series()
    x[2, 17, 1] = np.nan
    with pytest.raises(ValueError, match=r"x\[2, 17\]: expected finite numbers"):
        tagger().fit(x, y, verbose=0, bptt_steps=5)
