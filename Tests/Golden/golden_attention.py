"""Golden cases of attention and of the Transformer's blocks."""

import numpy as np
from golden_group import LENGTHS, MASK, Group, dense, embedding, gru, lstm, sequences
from torch_attention import TorchAttention

# Within a window as long as the sequences there is what there would be without, and a stream.
CAUSAL = {"causal": True, "window": 100}
# Every row has a step that is no padding, for PyTorch.
SOME = {"lengths": np.array([6, 1, 3, 4, 5], np.int64)}


def heads(number, width, **fields):
    return {"type": "multi_head_attention", "num_heads": number, "key_dim": width, **fields}


def two(attention, **last):
    """Queries of one branch, values of another."""
    return [
        sequences(5, name="a"),
        dense(5, "tanh", inputs=["input"], name="b"),
        {**attention, "inputs": ["a", "b"], "name": "c"},
        *([lstm(4)] if last else []),
    ]


def attention_cases():
    group = Group("attention")
    kinds = {
        "dot": {"type": "attention"},
        "scaled": {"type": "attention", "use_scale": True},
        "concat": {"type": "attention", "score_mode": "concat"},
        "concat, scaled": {"type": "attention", "score_mode": "concat", "use_scale": True},
        "additive": {"type": "additive_attention"},
        "additive, not scaled": {"type": "additive_attention", "use_scale": False},
    }
    for name, layer in kinds.items():
        group.add(name, two(layer), (3, 6, 4), steps=3)
        group.add(f"{name}, causal", two({**layer, **CAUSAL}), (3, 6, 4))
        for given, rows in ((MASK, 6), (LENGTHS, 5)):
            group.add(f"{name}, {next(iter(given))}", two(layer, lstm=True), (rows, 6, 4), **given)
        causal = two({**layer, **CAUSAL}, lstm=True)
        group.add(f"{name}, causal, mask", causal, (6, 6, 4), **MASK)
    keys = [
        sequences(5, name="a"),
        dense(7, "tanh", inputs=["input"], name="b"),
        gru(5, return_sequences=True, inputs=["input"], name="k"),
        {"type": "attention", "inputs": ["a", "b", "k"]},
        lstm(3),
    ]
    group.add("keys of their own", keys, (3, 6, 4))
    group.add("keys of their own, lengths", keys, (5, 6, 4), **LENGTHS)
    group.save()


def multi_head_cases():
    group = Group("multi_head_attention")
    group.add("self", [heads(2, 3)], (3, 6, 4), steps=3)
    group.add("one head", [heads(1, 5)], (2, 5, 3))
    group.add("without bias", [heads(3, 2, use_bias=False)], (3, 6, 4), steps=3)
    group.add("values", [heads(2, 3, value_dim=5)], (3, 6, 4))
    group.add("causal", [heads(2, 3, **CAUSAL)], (3, 6, 4))
    group.add("many steps", [heads(2, 3)], (2, 70, 4))
    group.add("many steps, causal", [heads(2, 3, **CAUSAL)], (2, 70, 4))
    group.add("wide", [heads(3, 17)], (2, 5, 34))
    for given, rows in ((MASK, 6), (LENGTHS, 5)):
        kind = next(iter(given))
        group.add(f"self, {kind}", [heads(2, 3), lstm(5)], (rows, 6, 4), **given)
        group.add(f"causal, {kind}", [heads(2, 3, **CAUSAL), lstm(5)], (rows, 6, 4), **given)
        group.add(f"each step, {kind}", [heads(2, 3), dense(2)], (rows, 6, 4), valid_outputs=True, **given)
        group.add(f"cross, {kind}", two(heads(2, 3), lstm=True), (rows, 6, 4), **given)
    group.add("cross", two(heads(2, 3)), (3, 6, 4))
    group.add("cross, causal", two(heads(2, 3, **CAUSAL)), (3, 6, 4))
    three = two(heads(2, 3))
    three[-1]["inputs"] = ["a", "b", "input"]
    group.add("three inputs", three, (3, 6, 4))
    states = two(heads(2, 3), lstm=True)
    states[1] = {"type": "bidirectional", "layer": lstm(3), "merge": None, "inputs": ["input"], "name": "b"}
    # What reaches the queries goes with the difference of the two states, times that of their keys. States of two
    # directions begin almost alike, and then rounding decides: of PyTorch in float32 and in float64 these gradients are
    # 1.2e-5 apart. The biases of g keep them apart.
    apart = {f"b.{way}_bias": np.repeat(np.float32([1, 1, g, 1]), 3) for way, g in (("forward", 2), ("backward", -2))}
    group.add("values of two steps", states, (3, 6, 4), initial=apart)
    tokens = [embedding(11, 6, mask_zero=True), heads(2, 3), lstm(5)]
    group.add("tokens", tokens, (4, 6), vocabulary=11)
    group.save()


def transformer_cases():
    group = Group("transformer")
    encoder = {"type": "transformer_encoder", "units": 7, "num_heads": 2}
    decoder = {"type": "transformer_decoder", "units": 7, "num_heads": 2, "key_dim": 3}
    for name, fields in {
        "after": {},
        "first": {"norm_first": True},
        "first, causal": {"norm_first": True, **CAUSAL},
        "after, gelu, causal": {"activation": "gelu", **CAUSAL, "epsilon": 0.001},
        "key_dim": {"key_dim": 5},
    }.items():
        group.add(f"encoder, {name}", [{**encoder, **fields}], (3, 6, 4), steps=3)
        group.add(f"encoder, {name}, mask", [{**encoder, **fields}, lstm(5)], (6, 6, 4), **MASK)
    for name, fields in {"after": {}, "first": {"norm_first": True}}.items():
        # By the numbers of its own name the first case with lengths gives queries a gradient of 1e-5 of the others': a
        # difference of which rounding in float32 leaves five digits.
        group.add(f"decoder, {name}", two({**decoder, **fields}), (3, 6, 4), steps=3)
        group.add(f"decoder, {name}, lengths", two({**decoder, **fields}, lstm=True), (5, 6, 4), seed=name, **LENGTHS)
    tokens = [embedding(11, 6, mask_zero=True), encoder, lstm(4)]
    group.add("tokens", tokens, (4, 6), vocabulary=11)
    group.save()


def torch_attention_cases():
    group = Group("torch_attention", TorchAttention)
    encoder = {"type": "transformer_encoder", "units": 7, "num_heads": 2}
    for name, layer in {
        "heads": heads(2, 3),
        "heads, causal": heads(2, 3, **CAUSAL),
        "encoder, after": encoder,
        "encoder, first": {**encoder, "norm_first": True},
        "encoder, first, gelu, causal": {**encoder, "norm_first": True, "activation": "gelu", **CAUSAL},
    }.items():
        group.add(name, [layer], (3, 6, 6), steps=5)
        group.add(f"{name}, lengths", [layer], (5, 6, 6), steps=5, valid_outputs=True, **SOME)
    # Of two blocks Keras tells the second nothing of the padding: it has lost the mask where the first adds.
    two_blocks = [{**encoder, "name": "first"}, {**encoder, "norm_first": True, "name": "second"}]
    for given in (SOME, {"mask": MASK["mask"][:5]}):
        group.add(f"two encoders, {next(iter(given))}", two_blocks, (5, 6, 6), steps=5, valid_outputs=True, **given)
    group.save()
