"""Losses of whole sequences as those of several outputs."""

import numpy as np
import pytest

import lstm
from lstm.layers import CRF, LSTM, Dense, Input

RANDOM = np.random.default_rng(6)
X = RANDOM.normal(size=(9, 7, 3)).astype(np.float32)
LENGTHS = np.array([7, 3, 5, 7, 1, 4, 7, 6, 2])
LABELS = np.where(np.arange(3) < (LENGTHS[:, None] + 1) // 2, RANDOM.permuted(np.tile([1, 2, 3], (9, 1)), axis=1), -1)
TAGS = RANDOM.integers(0, 3, (9, 7))
WEIGHTS = {"said": 0.5, "tags": 2.0}
OPTIMIZER = lstm.optimizers.SGD(0.1)


def heads(*outputs):
    x = Input((None, 3), name="x")
    trunk = LSTM(6, return_sequences=True, name="trunk")(x)
    made = {}
    if "said" in outputs:
        made["said"] = Dense(4, "softmax", name="said")(trunk)
    if "tags" in outputs:
        made["tags"] = CRF(3, name="tags")(Dense(3, name="scores")(trunk))
    return lstm.Model(x, list(made.values()), seed=4)


def test_gradients_are_those_of_each_loss_alone():
    both = heads("said", "tags")
    both.compile(OPTIMIZER, {"said": "ctc", "tags": "crf"}, {"said": ["edit_distance"], "tags": ["accuracy"]}, WEIGHTS)
    with both.trainer() as trainer:
        loss = trainer.step([X], [LABELS, TAGS], lengths=[LENGTHS])
        found = {name: trainer.gradient(name) for name in both.weight_shapes}
    expected_loss, expected = 0.0, {name: np.zeros_like(gradient) for name, gradient in found.items()}
    start = heads("said", "tags")
    for output, kind, y in (("said", "ctc", LABELS), ("tags", "crf", TAGS)):
        one = heads(output)
        one.set_named_weights(list(one.weight_shapes), [start.get_weight(name) for name in one.weight_shapes])
        one.compile(OPTIMIZER, kind)
        with one.trainer() as trainer:
            expected_loss += WEIGHTS[output] * trainer.step(X, y, lengths=LENGTHS)
            for name in one.weight_shapes:
                expected[name] += WEIGHTS[output] * trainer.gradient(name)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    for name, gradient in found.items():
        assert np.abs(gradient).max() > 0, name
        np.testing.assert_allclose(gradient, expected[name], atol=2e-6, err_msg=name)


def test_they_learn_together():
    model = heads("said", "tags")
    losses, metrics = {"said": "ctc", "tags": "crf"}, {"said": ["edit_distance"], "tags": ["accuracy"]}
    model.compile(lstm.optimizers.Adam(0.05), losses, metrics)
    history = model.fit([X], [LABELS, TAGS], lengths=[LENGTHS], epochs=120, batch_size=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 4
    assert history["tags_accuracy"][-1] > 0.9 and history["said_edit_distance"][-1] < 0.5
    evaluated = model.evaluate([X], [LABELS, TAGS], lengths=[LENGTHS], verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(evaluated["said_loss"] + evaluated["tags_loss"])


def test_what_several_outputs_cannot_be_is_refused():
    def compiled(loss, outputs=("said", "tags")):
        model = heads(*outputs)
        model.compile(OPTIMIZER, loss)
        return model.handle

    with pytest.raises(ValueError, match=r"training\.loss\.said: expected a model that ends in a crf"):
        compiled({"said": "crf", "tags": "crf"})
    with pytest.raises(ValueError, match=r"training\.loss\.tags: expected crf, since the model ends in one"):
        compiled({"said": "ctc", "tags": "mse"})
    x = Input((None, 3), name="x")
    scores = Dense(3, name="scores")(x)
    model = lstm.Model(x, [CRF(3, name="tags")(scores), Dense(2, name="other")(scores)])
    with pytest.raises(ValueError, match="only one that reads its scores"):
        model.compile(OPTIMIZER, ["crf", "mse"])
        _ = model.handle
    for decode in (heads("said", "tags").ctc_decode, heads("said", "tags").crf_decode):
        with pytest.raises(lstm.UnsupportedError, match="one input and one output, got 1 and 2"):
            decode(X)
