"""Every function of the header, called with every kind of garbage: nothing dies, hangs, or breaks the header's rules.

The signature table is generated from the parsed header: a function or a type that is new there and unknown here stops
the test. garbage.c holds the rules, garbage_values.h the garbage.
"""

import re

import harness
import pytest

COMBINATIONS = 150
HANG_SECONDS = 20

KINDS = {
    "const char *": "TEXT",
    "const int64_t *": "SHAPE",
    "const float *": "NUMBERS",
    "const int32_t *": "NUMBERS",
    "const double *": "NUMBERS",
    "const void *": "BYTES",
    "const lstm_array *": "ARRAY",
    "const lstm_data *": "DATA",
    "const lstm_allocator *": "ALLOCATOR",
    "const lstm_options *": "OPTIONS",
    "const lstm_generate_options *": "GENERATE_OPTIONS",
    "const lstm_decoding *": "DECODING",
    "size_t *": "OUT_COUNT",
    "lstm_array *": "OUT_ARRAY",
    "lstm_data *": "OUT_DATA",
    "lstm_options *": "OUT_OPTIONS",
    "lstm_generate_options *": "OUT_GENERATE_OPTIONS",
    "lstm_history *": "OUT_HISTORY",
    "lstm_decoding *": "OUT_DECODING",
    "lstm_parameter *": "OUT_PARAMETER",
    "lstm_source": "SOURCE",
    "size_t": "SIZE",
    "uint32_t": "U32",
    "int": "INTEGER",
    "double": "REAL",
}
for handle in ("lstm_model", "lstm_trainer", "lstm_predictor", "lstm_stream", "lstm_generator"):
    KINDS |= {f"{handle} *": "HANDLE", f"const {handle} *": "HANDLE", f"{handle} **": "OUT"}
    KINDS |= {f"{handle} * const *": "HANDLES"}
KINDS |= dict.fromkeys(["char *", "void *", "float *", "double *", "int32_t *", "int64_t *", "uint32_t *"], "OUT")
MEMBERS = {"SIZE": "size", "DATA_SIZE": "size", "U32": "u32", "INTEGER": "integer", "REAL": "real"}
RESULTS = {"void": "RETURNS_NOTHING", "int": "RETURNS_INT", "const char *": "RETURNS_TEXT"}

# Pointers that the header allows to be NULL, by "function.parameter" or "parameter".
OPTIONAL = {"allocator", "count", "options", "weights", "loss", "lstm_train.history", "lstm_train_from.history", "user"}
OPTIONAL |= {"lstm_train_many.history"}
OPTIONAL |= {"log_probability", "lstm_trainer_learn.y"}
LOOKING = ("lstm_inspect", "lstm_inspect_many", "lstm_saliency")
OPTIONAL |= {f"{name}.{out}" for name in LOOKING for out in ("shape", "rank")}
OPTIONAL |= {"lstm_ctc_decode.decoding", "lstm_decode.decoding", "log_probabilities"}
REQUIRED = {"lstm_parameter_count.count", "lstm_options_init.options", "lstm_generate_options_init.options"}

# A good value of each argument, as C, by "function.parameter" or "parameter"; `put` copies into the argument's block.
GOOD = {
    "code": "LSTM_ERR_ARG",
    "description": "numbers_description",
    "training": "\"{'loss': 'mse', 'optimizer': 'sgd'}\"",
    "path": '"good.safetensors"',
    "name": '"last.bias"',
    "lstm_use_kernels.name": '"baseline"',
    "model": "world.model",
    "lstm_set_publishing.model": "world.published",
    "lstm_publish.model": "world.published",
    "from": "world.model",
    "lstm_trainer_learn.trainer": "world.forecasting",
    "lstm_trainer_learn.stream": "world.forecaster",
    "lstm_trainer_learn.y": "put(block, &world.next, sizeof world.next)",
    "lstm_set_publishing.on": "1",
    "lstm_stream_keep.steps": "3",
    "trainer": "world.trainer",
    "predictor": "world.predictor",
    "stream": "world.stream",
    "streams": "put(block, world.streams, sizeof world.streams)",
    "threads": "2",
    "allocator": "put(block, &world.allocator, sizeof world.allocator)",
    "options": "put(block, &world.options, sizeof world.options)",
    "lstm_output_shape_many.output": "0",
    "lstm_data_init.struct_size": "sizeof(lstm_data)",
    "data": "put(block, &data.single, sizeof data.single)",
    "x": "put(block, &data.x, sizeof data.x)",
    "y": "put(block, &data.y, sizeof data.y)",
    "weights": "put(block, &data.weights, sizeof data.weights)",
    "lstm_stream_step.x": "put(block, numbers_x, sizeof numbers_x)",
    "lstm_stream_process.x": "put(block, numbers_x, sizeof numbers_x)",
    "lstm_streams_step.x": "put(block, numbers_x, sizeof numbers_x)",
    "lstm_confusion_matrix.model": "world.classes",
    "layer": '"top"',
    "what": '"gates"',
    "lstm_saliency.output": "1",
    "lstm_confusion_matrix.y": "put(block, &data.classes, sizeof data.classes)",
    "lstm_decode.model": "world.classes",
    "outputs": "put(block, &data.x, sizeof data.x)",
    "decoding": "put(block, &(lstm_decoding){sizeof(lstm_decoding), 2, 2, 0, 0, 0}, sizeof(lstm_decoding))",
    "lstm_decoding_init.struct_size": "sizeof(lstm_decoding)",
    "log_capacity": "BLOCK / 8",
    "lstm_trainer_set_class_weights.weights": "put(block, (const double[]){1, 2}, 16)",
    "lstm_trainer_set_class_weights.count": "2",
    "generator": "world.generator",
    "prompt": "put(block, &data.prompt, sizeof data.prompt)",
    "text": '"ab. c"',
    "tokens": "put(block, prompt_tokens, sizeof prompt_tokens)",
    "token_count": "3",
    "lstm_generate.options": "put(block, &world.generate_options, sizeof world.generate_options)",
    "lstm_generate_from.options": "put(block, &world.generate_options, sizeof world.generate_options)",
    "lstm_generate_from.source": "put(block, &data.source, sizeof data.source)",
    "lstm_generator_create_from.options": "put(block, &world.generator_options, sizeof world.generator_options)",
    "lstm_generator_create_from.source": "put(block, &data.source, sizeof data.source)",
    "carry": "1",
    "lstm_generator_create.options": "put(block, &world.generator_options, sizeof world.generator_options)",
    "lstm_stream_forecast.stream": "world.forecaster",
    "lstm_stream_forecast.x": "put(block, numbers_x, sizeof numbers_x)",
    "lstm_stream_forecast.x_count": "2",
    "lstm_stream_forecast.y_count": "4 * 2",
    "lstm_set_parameter.values": "put(block, world.parameter, sizeof world.parameter)",
    "lstm_stream_set_state.state": "put(block, world.state, sizeof world.state)",
    "lstm_array_init.data": "block",
    "lstm_array_init.shape": "put(block, (const int64_t[]){2, 3}, 16)",
    "lstm_array_init.struct_size": "sizeof(lstm_array)",
    "lstm_options_init.struct_size": "sizeof(lstm_options)",
    "lstm_generate_options_init.struct_size": "sizeof(lstm_generate_options)",
    "lstm_history_init.struct_size": "sizeof(lstm_history)",
    "lstm_load_buffer.data": "put(block, world.saved.bytes, world.saved.count)",
    "size": "world.saved.count",
    "type": "LSTM_FLOAT32",
    "rank": "2",
    "index": "0",
    "flags": "0",
    "format": "LSTM_INT8",
    "rate": "0.01",
    "lstm_serve_average.average": "0",
    "source": "two_batches",
    "capacity": "BLOCK / 8",
    "lstm_summary.capacity": "BLOCK",
    "lstm_describe.capacity": "BLOCK",
    "lstm_detokenize.capacity": "BLOCK",
    "lstm_save_buffer.capacity": "BLOCK",
    "lstm_history_init.capacity": "8",
    "lstm_set_parameter.count": "world.parameter_count",
    "lstm_stream_set_state.count": "world.state_count",
    "steps": "4",
    "lstm_stream_step.x_count": "FEATURES",
    "lstm_stream_step.y_count": "OUTPUTS",
    "lstm_stream_process.x_count": "4 * FEATURES",
    "lstm_stream_process.y_count": "4 * OUTPUTS",
    "lstm_streams_step.count": "2",
    "lstm_streams_step.x_count": "2 * FEATURES",
    "lstm_streams_step.y_count": "2 * OUTPUTS",
}


GOOD |= {
    f"{name}.model": "world.language"
    for name in ("lstm_tokenize", "lstm_detokenize", "lstm_generate", "lstm_generator_create")
}
GOOD |= {f"{name}.model": "world.writer" for name in ("lstm_generate_from", "lstm_generator_create_from")}


def kind_of(function, parameter) -> str:
    of_data = (function.name, parameter.name) in [("lstm_load_buffer", "size"), ("lstm_detokenize", "token_count")]
    return "DATA_SIZE" if of_data else KINDS[parameter.type]


def good_value(function, parameter) -> str:
    kind = kind_of(function, parameter)
    member = MEMBERS.get(kind, "pointer")
    if kind == "OUT_HISTORY":
        value = "good_history(block)"
    elif kind.startswith("OUT_") and kind != "OUT_COUNT":
        struct = parameter.type.removesuffix(" *")
        value = f"put(block, &({struct}){{.struct_size = sizeof({struct})}}, sizeof({struct}))"
    elif kind.startswith("OUT"):
        value = "block"
    else:
        key = f"{function.name}.{parameter.name}"
        value = GOOD[key] if key in GOOD else GOOD[parameter.name]
    return f"s->{member} = {'(void *)' if member == 'pointer' else ''}{value};"


def is_required(function, parameter) -> bool:
    key = f"{function.name}.{parameter.name}"
    return parameter.type.endswith("*") and (key in REQUIRED or not {key, parameter.name} & OPTIONAL)


TABLE = """/* Written by test_garbage.py from lstm.h. */
static const signature signatures[] = {{
{rows}
}};

static void *function_address(int index) {{
  void *const addresses[] = {{{addresses}}};
  return addresses[index];
}}

static void *put(void *block, const void *value, size_t size) {{
  return memcpy(block, value, size);
}}

static void *good_history(void *block) {{
  static double values[8 * LSTM_MAX_COLUMNS];
  OK(lstm_history_init(block, sizeof(lstm_history), values, 8));
  return block;
}}

static void good_argument(int function, int argument, slot *s, void *block) {{
  switch (function * MAX_ARGUMENTS + argument) {{
{cases}
  }}
}}
"""


def signature_argument(function, index: int) -> str:
    parameter = function.parameters[index]
    following = [later.name for later in function.parameters[index + 1 : index + 2]]
    room = index + 1 if following == ["capacity"] and function.name != "lstm_history_init" else 0
    flags = f"{int(is_required(function, parameter))}, {int(parameter.type.startswith('const'))}, {room}"
    return f'{{"{parameter.name}", {kind_of(function, parameter)}, {flags}}}'


def signature_row(function) -> str:
    arguments = ", ".join(signature_argument(function, index) for index in range(len(function.parameters)))
    head = f'"{function.name}", {RESULTS[function.returns]}, {len(function.parameters)}'
    return f"  {{{head}, {{{arguments or '{0}'}}}}},"


def signature_table(functions) -> str:
    cases = [
        f"    case {index} * MAX_ARGUMENTS + {position}: {good_value(f, parameter)} break;"
        for index, f in enumerate(functions)
        for position, parameter in enumerate(f.parameters)
    ]
    addresses = ", ".join(f"(void *){f.name}" for f in functions)
    return TABLE.format(rows="\n".join(map(signature_row, functions)), addresses=addresses, cases="\n".join(cases))


@pytest.fixture(scope="module")
def program(header, workshop):
    table = signature_table(header.functions.values())
    (workshop.folder / "garbage_signatures.inc").write_text(table)
    return workshop.compile(harness.ABI / "garbage.c", flags=("-lffi",))


def test_every_function_survives_garbage(program, library, tmp_path, capsys):
    result = harness.run([program, library, COMBINATIONS, HANG_SECONDS], cwd=tmp_path)
    assert result.returncode == 0, harness.describe(["garbage"], result)
    harness.assert_no_findings(result.stdout)
    calls = harness.figure(result.stdout, "calls")
    harness.report(capsys, f"{calls} calls with garbage")
    assert calls > 5000


SABOTAGE = {
    "lstm_describe": "if (!capacity) *(volatile int *)0 = 1; return 0;",
    "lstm_summary": "if (capacity != 1) return 0; *buffer = 1; return LSTM_ERR_ARG;",
    "lstm_predict": "return options ? 0 : LSTM_ERR_ARG;",
    "lstm_output_shape": "((lstm_array *)x)->rank = 7; return 0;",
    "lstm_compile": "for (;;) if (training) return 0;",
    "lstm_parameter_count": "return LSTM_ERR_INTERNAL;",
    "lstm_last_error": 'return "";',
    "lstm_save_buffer": "if (count) *count = 64; return 0;",
}


def test_each_rule_can_be_broken(program, header, workshop, tmp_path):
    stub = workshop.stub(harness.stub_source(SABOTAGE), "sabotaged")
    found = "\n".join(harness.findings(harness.run([program, stub, 0, 1], cwd=tmp_path).stdout))
    for expected in [
        r"lstm_describe\(model=good, buffer=good, capacity=#0, count=good\): Segmentation fault",
        r"lstm_summary\(.*capacity=#1.*\): buffer was changed by a call that failed",
        r"lstm_predict\(.*options=#0.*\): an error without a text",
        r"lstm_output_shape\(model=good, x=good.*\): x was changed though const",
        r"lstm_compile\(model=good, training=#0\): HUNG",
        r"lstm_parameter_count\(model=good, count=good\): ",
        r"lstm_clone\(model=#0, clone=good\): NULL for model gave 0",
    ]:
        assert re.search(expected, found), f"{expected} not in\n{found[:3000]}"


def test_missing_function_is_noticed(program, header, workshop, tmp_path):
    stub = workshop.stub(harness.stub_source({}, without="lstm_clone"), "incomplete")
    assert "MISSING lstm_clone" in harness.run([program, stub, 0, 1], cwd=tmp_path).stdout
