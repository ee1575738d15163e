"""Models with several inputs and outputs."""

import copy

import numpy as np
import pytest

import lstm
from lstm.layers import GRU, LSTM, Add, Concatenate, Dense, Embedding, Input, Text

RANDOM = np.random.default_rng(3)
A = RANDOM.normal(size=(12, 5, 3)).astype(np.float32)
B = RANDOM.normal(size=(12, 2)).astype(np.float32)
Y = RANDOM.normal(size=(12, 2)).astype(np.float32)
KINDS = RANDOM.integers(0, 4, 12)


def forked(as_dict=False, seed=2):
    a, b = Input((None, 3), name="a"), Input((2,), name="b")
    trunk = Concatenate(name="trunk")([LSTM(4, name="read")(a), Dense(3, "tanh", name="wide")(b)])
    number, kind = Dense(2, name="number")(trunk), Dense(4, "softmax", name="kind")(trunk)
    if as_dict:
        return lstm.Model({"a": a, "b": b}, {"n": number, "k": kind}, seed=seed)
    return lstm.Model([a, b], [number, kind], seed=seed)


def compiled(**given):
    model = forked()
    losses = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile(lstm.optimizers.Adam(0.05), losses, **given)
    return model


def test_predicts_from_lists_and_dicts():
    model = forked()
    number, kind = model.predict([A, B])
    assert number.shape == (12, 2) and kind.shape == (12, 4)
    np.testing.assert_allclose(kind.sum(-1), 1, atol=1e-6)
    for given in ({"a": A, "b": B}, (A, B)):
        for one, other in zip(model(given), (number, kind)):
            np.testing.assert_array_equal(one, other)
    named = forked(as_dict=True)
    found = named.predict({"b": B, "a": A})
    assert sorted(found) == ["k", "n"]
    np.testing.assert_array_equal(found["n"], number)
    with model.predictor() as predictor:
        for one, other in zip(predictor.run([A, B]), (number, kind)):
            np.testing.assert_array_equal(one, other)


def test_computes_what_its_layers_do():
    model = forked()
    read = lstm.Sequential([Input((None, 3)), LSTM(4)])
    read.set_weights(model.get_layer("read").get_weights())
    kernel, bias = model.get_layer("wide").get_weights()
    trunk = np.concatenate([read.predict(A), np.tanh(B @ kernel + bias)], -1)
    kernel, bias = model.get_layer("number").get_weights()
    np.testing.assert_allclose(model.predict([A, B])[0], trunk @ kernel + bias, atol=2e-6)


def test_trains_with_the_columns_of_keras(capsys):
    model = compiled(loss_weights=[1, 0.5], metrics={"kind": ["accuracy"], "number": "mae"})
    before = model.evaluate([A, B], [Y, KINDS], verbose=0, return_dict=True)
    assert list(before) == ["loss", "number_mae", "kind_accuracy", "number_loss", "kind_loss"]
    assert before["loss"] == pytest.approx(before["number_loss"] + 0.5 * before["kind_loss"], rel=1e-6)
    number, kind = model.predict([A, B])
    assert before["number_loss"] == pytest.approx(((number - Y) ** 2).mean(), rel=1e-5)
    assert before["kind_loss"] == pytest.approx(-np.log(kind[range(12), KINDS]).mean(), rel=1e-5)
    history = model.fit([A, B], {"number": Y, "kind": KINDS}, epochs=30, validation_split=0.25, verbose=0).history
    assert {"val_number_loss", "val_kind_accuracy", "loss"} < set(history)
    assert history["loss"][-1] < history["loss"][0] / 2
    other = compiled(metrics=[[], ["accuracy"]])
    other.fit([A, B], [Y, KINDS], epochs=2, validation_data=([A, B], [Y, KINDS]), verbose=0, threads=2)
    assert other.history.history["val_loss"][1] < other.history.history["val_loss"][0]


def test_sample_weights_are_for_each_output():
    model = compiled()
    weights = RANDOM.uniform(size=12)
    found = model.evaluate([A, B], [Y, KINDS], sample_weight={"number": weights}, verbose=0, return_dict=True)
    plain = model.evaluate([A, B], [Y, KINDS], verbose=0, return_dict=True)
    errors = ((model.predict([A, B])[0] - Y) ** 2).mean(-1)
    assert found["kind_loss"] == plain["kind_loss"]
    assert found["number_loss"] == pytest.approx((errors * weights).mean(), rel=1e-5)
    both = model.evaluate([A, B], [Y, KINDS], sample_weight=weights, verbose=0, return_dict=True)
    assert both["number_loss"] == found["number_loss"] and both["kind_loss"] != plain["kind_loss"]


def test_steps_by_hand_are_those_of_batches():
    one, two = compiled(), compiled()
    results = [one.train_on_batch([A, B], [Y, KINDS], return_dict=True)["loss"] for _ in range(3)]
    with two.trainer() as trainer:
        assert [trainer.step({"a": A, "b": B}, [Y, KINDS]) for _ in range(3)] == results
        assert np.abs(trainer.gradient("read.input_weights")).max() > 0
    np.testing.assert_array_equal(one.predict([A, B])[0], two.predict([A, B])[0])


def test_inputs_have_their_own_lengths_and_tokens():
    words, numbers = Input((None,), name="words"), Input((None, 3), name="numbers")
    joined = Add()([GRU(4)(Embedding(9, 5)(words)), LSTM(4)(numbers)])
    model = lstm.Model([words, numbers], Dense(1)(joined))
    ragged = [[1, 2, 3], [4], [5, 6, 7, 8]]
    together = model.predict([ragged, A[:3]], lengths={"numbers": [5, 1, 3]})
    for row, steps in enumerate([5, 1, 3]):
        alone = model.predict([np.array([ragged[row]]), A[row : row + 1, :steps]])
        np.testing.assert_array_equal(together[row], alone[0])


def test_texts_beside_numbers():
    words, numbers = Input((), dtype="string", name="words"), Input((2,), name="numbers")
    joined = Concatenate()([LSTM(3)(Embedding(20, 4)(Text()(words))), numbers])
    model = lstm.Model([words, numbers], Dense(1)(joined))
    model.adapt([["a good film", "bad", "so so"], B[:3]])
    assert model.get_layer("text").get_vocabulary()[2:] == ["so", "a", "bad", "film", "good"]
    assert model.predict([["bad film", "", "a"], B[:3]]).shape == (3, 1)


def test_saves_loads_and_copies(tmp_path):
    model = compiled(metrics={"kind": "accuracy"})
    model.fit([A, B], [Y, KINDS], epochs=2, verbose=0)
    model.save(tmp_path / "forked.safetensors")
    loaded = lstm.load_model(tmp_path / "forked.safetensors")
    assert loaded.to_json() == model.to_json()
    for twin in (loaded, copy.deepcopy(model)):
        twin.fit({"a": A, "b": B}, [Y, KINDS], epochs=1, verbose=0)
    model.fit([A, B], [Y, KINDS], epochs=1, verbose=0)
    for twin in (loaded,):
        np.testing.assert_array_equal(twin.predict([A, B])[1], model.predict([A, B])[1])


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m: m.predict(A), TypeError, "x: expected a list of 2, or a dict with a, b, got ndarray"),
        (lambda m: m.predict([A]), ValueError, "x: expected 2, a, b, got 1"),
        (lambda m: m.predict({"a": A}), ValueError, "x: expected data for 'b', got none"),
        (lambda m: m.predict({"a": A, "c": B}), ValueError, "x: expected the names a, b"),
        (lambda m: m.predict([A, B[:3]]), ValueError, r"data.x\[1\].shape: expected as many samples as of x\[0\], 12"),
        (lambda m: m.predict([B, A]), ValueError, r"data.x\[0\].shape: expected \(None, None, 3\), got \(12, 2\)"),
        (lambda m: m.fit([A, B], [Y, Y]), ValueError, r"data.y\[1\].shape: expected \(12, 1\)"),
        (lambda m: m.fit([A, B], [Y]), ValueError, "y: expected 2, number, kind, got 1"),
        (lambda m: m.fit([A, B], [Y, KINDS], class_weight={0: 1}), lstm.UnsupportedError, "fit: class_weight"),
        (lambda m: m.fit(iter([])), lstm.UnsupportedError, "fit: batches of a generator: expected a model of one"),
        (lambda m: m.stream(), lstm.UnsupportedError, "a stream: expected a model of one input and one output"),
        (lambda m: m.confusion_matrix([A, B], KINDS), lstm.UnsupportedError, "confusion_matrix: expected a model"),
        (lambda m: m.compile(loss=["mse"]), ValueError, "loss: expected 2, number, kind, got 1"),
        (lambda m: m.compile(loss={"x": "mse"}), ValueError, "loss: expected the names number, kind"),
        (lambda m: m.compile(loss={"kind": "mse"}), ValueError, "training.loss.number: expected a loss, got nothing"),
        (
            lambda m: m.compile(loss="mse", loss_weights=[1, -1]),
            ValueError,
            "training.loss_weights.kind: expected a fin",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(compiled())
