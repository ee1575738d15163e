"""Descriptions that are wrong in one place: each is refused with that place, the value, and what was expected."""

import ctypes

import pytest
from refusals import NUMBERS, refused

LSTM2 = "{'type': 'lstm', 'units': 2}"
NAMED = "{'type': 'dense', 'units': 2, 'name': '%s'}"


PAIRS = ", 'training': {'loss': {'type': 'contrastive', 'pairs': true}}}"


def layers(*texts, shape="[null, 3]"):
    return f"{{'input_shape': {shape}, 'layers': [{', '.join(texts)}]}}"


def embedding(vocabulary, units):
    return f"{{'layers': [{{'type': 'embedding', 'vocabulary': {vocabulary}, 'units': {units}}}]}}"


def training(field):
    """`field` besides a loss and an optimizer, or in place of one of them."""
    fields = {"'loss'": "'loss': 'mse'", "'optimizer'": "'optimizer': 'sgd'", field.partition(":")[0]: field}
    return layers(LSTM2)[:-1] + ", 'training': {" + ", ".join(fields.values()) + "}}"


def optimizer(value):
    return training(f"'optimizer': {value}")


CASES = [
    ("empty", "", "description"),
    ("not JSON", "layers: lstm", "description"),
    ("cut short", NUMBERS[:60], "description"),
    ("text after the end", NUMBERS + " x", "description x"),
    ("an array", "[]", "description object"),
    ("deep nesting", "[" * 200_000, "description"),
    ("no layers", "{'input_shape': [null, 3]}", "layers"),
    ("layers empty", layers(), "layers"),
    ("layers no array", "{'layers': {}}", "layers array|list"),
    ("field twice", "{'seed': 1, 'seed': 2, " + layers(LSTM2)[1:], "seed once"),
    ("unknown field", "{'seeed': 1, " + layers(LSTM2)[1:], "seeed"),
    ("misspelt layer field", layers("{'type': 'lstm', 'unit': 3}"), "layers[0] unit"),
    ("units missing", layers(LSTM2, "{'type': 'dense'}"), "layers[1].units"),
    ("type missing", layers("{'units': 3}"), "layers[0].type"),
    ("type unknown", layers("{'type': 'lstmm', 'units': 3}"), "layers[0].type lstmm"),
    ("type a number", layers("{'type': 3}"), "layers[0].type 3"),
    ("units a text", layers("{'type': 'lstm', 'units': 'many'}"), "layers[0].units many integer"),
    ("units zero", layers("{'type': 'lstm', 'units': 0}"), "layers[0].units 0"),
    ("units negative", layers("{'type': 'lstm', 'units': -4}"), "layers[0].units -4"),
    ("units a fraction", layers("{'type': 'lstm', 'units': 2.5}"), "layers[0].units 2.5"),
    ("units a truth", layers("{'type': 'lstm', 'units': true}"), "layers[0].units true"),
    ("units null", layers("{'type': 'lstm', 'units': null}"), "layers[0].units null"),
    ("activation unknown", layers(LSTM2[:-1] + ", 'activation': 'tanhh'}"), "layers[0].activation tanhh"),
    ("use_bias a number", layers("{'type': 'dense', 'units': 2, 'use_bias': 1}"), "layers[0].use_bias true"),
    ("dropout over 1", layers("{'type': 'dropout', 'rate': 1.5}"), "layers[0].rate 1.5"),
    ("dropout negative", layers("{'type': 'lstm', 'units': 2, 'dropout': -0.5}"), "layers[0].dropout -0.5"),
    ("epsilon zero", layers("{'type': 'layer_normalization', 'epsilon': 0}"), "layers[0].epsilon positive 0"),
    ("filters missing", layers("{'type': 'conv1d', 'kernel_size': 2}"), "layers[0].filters positive"),
    (
        "padding unknown",
        layers("{'type': 'conv1d', 'filters': 2, 'kernel_size': 2, 'padding': 'full'}"),
        "padding full",
    ),
    (
        "strides and dilation",
        layers("{'type': 'conv1d', 'filters': 2, 'kernel_size': 2, 'strides': 2, 'dilation_rate': 2}"),
        "layers[0].strides dilation_rate 2",
    ),
    (
        "a window past the input",
        layers("{'type': 'conv1d', 'filters': 2, 'kernel_size': 5}", shape="[4, 3]"),
        "layers[0] at least 5 4",
    ),
    ("a kernel of 2^60", layers("{'type': 'conv1d', 'filters': 2, 'kernel_size': 1152921504606846976}"), "kernel_size"),
    ("a reach of 2^40", layers("{'type': 'conv1d', 'filters': 1, 'kernel_size': 9999999, 'dilation_rate': 99}"), "99"),
    ("masking not first", layers("{'type': 'dense', 'units': 2}", "{'type': 'masking'}"), "layers[1] input"),
    ("flatten of open time", layers("{'type': 'flatten'}"), "layers[0] known"),
    ("numbers left over", layers("{'type': 'reshape', 'target_shape': [2, 4]}", shape="[3]"), "target_shape (3,)"),
    ("two extents open", layers("{'type': 'reshape', 'target_shape': [-1, -1]}", shape="[4]"), "target_shape"),
    ("an empty slice", layers("{'type': 'slice', 'start': 2, 'stop': -2}"), "layers[0].stop 3 features"),
    ("a slice backwards", layers("{'type': 'slice', 'axis': 'time', 'start': -1, 'stop': -2}"), "layers[0].stop -1 -2"),
    ("all cropped", layers("{'type': 'cropping', 'before': 2, 'after': 2}", shape="[4, 3]"), "layers[0] timestep"),
    ("repeated sequences", layers("{'type': 'repeat_vector', 'n': 2}"), "layers[0] features"),
    ("stddev negative", layers("{'type': 'gaussian_noise', 'stddev': -1}"), "layers[0].stddev -1"),
    (
        "too few positions",
        layers("{'type': 'position_embedding', 'length': 3}", shape="[4, 3]"),
        "layers[0].length 4 3",
    ),
    ("wavelength zero", layers("{'type': 'positional_encoding', 'max_wavelength': 0}"), "max_wavelength positive"),
    ("no input_shape", "{'layers': [" + LSTM2 + "]}", "input_shape"),
    ("input_shape a text", layers(LSTM2, shape="'big'"), "input_shape big"),
    ("input_shape negative", layers(LSTM2, shape="[null, -3]"), "input_shape -3"),
    ("features unknown", layers(LSTM2, shape="[null, null]"), "input_shape|layers"),
    ("rank of the input", layers(LSTM2, shape="[3]"), "layers[0]|input_shape"),
    ("lstm on one vector", layers(LSTM2, LSTM2), "layers[1]"),
    ("text not first", layers(LSTM2, "{'type': 'text'}"), "layers[1]"),
    ("embedding of numbers", layers(LSTM2, "{'type': 'embedding', 'vocabulary': 4, 'units': 2}"), "layers[1]"),
    ("same name twice", layers(NAMED % "a", NAMED % "a"), "layers[1].name a"),
    ("name over its room", layers(NAMED % ("n" * 200)), "layers[0].name"),
    ("seed negative", "{'seed': -1, " + layers(LSTM2)[1:], "seed -1"),
    ("seed over 2^53", "{'seed': 9007199254740994, " + layers(LSTM2)[1:], "seed"),
    ("units 2^31", layers("{'type': 'lstm', 'units': 2147483648}"), "ARG|NOMEM: "),
    ("units 2^62", layers("{'type': 'lstm', 'units': 4611686018427387904}"), "layers[0]"),
    ("units 2^64", layers("{'type': 'dense', 'units': 18446744073709551616}"), "layers[0].units"),
    ("units 1e300", layers("{'type': 'dense', 'units': 1e300}"), "layers[0].units"),
    ("vocabulary 2^40", embedding(2**40, 16), "ARG|NOMEM: "),
    ("vocabulary x units", embedding(2**32, 2**32), "layers[0]"),
    ("features 2^62", layers(LSTM2, shape="[null, 4611686018427387904]"), "ARG|NOMEM: "),
    ("a word twice", "{'layers': [{'type': 'text', 'vocabulary': ['a', 'b', 'a']}]}", "layers[0].vocabulary a"),
    ("level unknown", "{'layers': [{'type': 'text', 'level': 'sentence'}]}", "layers[0].level sentence"),
    ("loss unknown", training("'loss': 'msee'"), "training.loss msee"),
    ("loss field", training("'loss': {'type': 'huber', 'delta': 0}"), "training.loss.delta positive 0"),
    ("smoothing over 1", training("'loss': {'type': 'kl_divergence', 'label_smoothing': 1}"), "training.loss"),
    (
        "quantiles that fall",
        training("'loss': {'type': 'quantile', 'quantiles': [0.9, 0.1]}"),
        "training.loss.quantiles rising",
    ),
    ("outputs for quantiles", training("'loss': {'type': 'quantile', 'quantiles': [0.1, 0.5, 0.9]}"), "loss 3 2"),
    ("outputs for pairs", layers("{'type': 'lstm', 'units': 3}")[:-1] + PAIRS, "training.loss 2 3"),
    ("metric twice", training("'metrics': ['mse', 'mse']"), "training.metrics[1] mse once"),
    ("metric of sequences", training("'metrics': ['bleu']"), "training.metrics[0] bleu"),
    ("metric field", training("'metrics': [{'type': 'top_k_accuracy', 'k': 0}]"), "training.metrics[0].k positive 0"),
    ("optimizer unknown", optimizer("'adamm'"), "training.optimizer adamm"),
    (
        "learning_rate negative",
        optimizer("{'type': 'sgd', 'learning_rate': -1}"),
        "training.optimizer.learning_rate -1",
    ),
    ("optimizer field unknown", optimizer("{'type': 'sgd', 'lr': 1}"), "training.optimizer lr"),
    ("beta over 1", optimizer("{'type': 'adam', 'beta_1': 1.5}"), "beta_1 1.5"),
    ("metric unknown", training("'metrics': ['mse', 'acuracy']"), "training.metrics[1] acuracy"),
    ("rho a text", optimizer("{'type': 'rmsprop', 'rho': 'high'}"), "training.optimizer.rho high"),
    ("bad UTF-8", layers(NAMED % "\udcff"), "description|name|layers[0].name"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_description(lib, text, expected):
    model = ctypes.c_void_p(77)
    refused(lambda: lib.create(text.encode("utf-8", "surrogateescape"), None, ctypes.byref(model)), expected)
    assert model.value == 77


def test_what_the_cases_bend_is_sound(lib):
    sound = [layers(LSTM2), embedding(4, 2), training("'metrics': ['mse']"), optimizer("{'type': 'adam'}")]
    for text in [NUMBERS, layers(NAMED % "a"), *sound]:
        lib.free(lib.model(text))
