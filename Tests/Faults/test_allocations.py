"""Every allocation of every operation fails in turn: LSTM_ERR_NOMEM, no leak, the model unchanged, a retry succeeds."""

import harness
import pytest

FAULTS = harness.ROOT / "Tests" / "Faults"
# The header promises that steps allocate nothing. A few others may do without; all the rest must be seen to allocate.
QUIET = {"stream_step", "stream_process", "stream_forecast", "generator_next"}
MAY_BE_QUIET = {"stream_state", "trainer_step", "get_parameter", "set_parameter", "output_shape"}
MAY_BE_QUIET |= {"predictor_run", "streams_step", "step_many", "trainer_step_carried", "learn"}


@pytest.fixture(scope="module")
def program(workshop):
    flags = (f"-I{FAULTS}", "-rdynamic", "-fno-builtin")
    return workshop.compile(FAULTS / "allocations.c", FAULTS / "failing_malloc.c", flags=flags)


@pytest.mark.parametrize("source", ["malloc", "hook"])
@pytest.mark.parametrize("start", ["cold", "warm"])
def test_each_failed_allocation(program, library, source, start, tmp_path, capsys):
    result = harness.run([program, library, source, start], cwd=tmp_path, timeout=300)
    assert result.returncode == 0, harness.describe(["allocations"], result)
    harness.assert_no_findings(result.stdout)
    rows = [line.split() for line in result.stdout.splitlines()]
    sites = {row[0].split("=")[0]: int(row[0].split("=")[1]) for row in rows}
    injected = sum(int(row[1].split("=")[1]) for row in rows)
    absorbed = sum(int(row[2].split("=")[1]) for row in rows)
    harness.report(capsys, f"{source}, {start}: {injected} failed allocations, {absorbed} absorbed")
    silent = {name for name, count in sites.items() if count == 0}
    assert silent >= QUIET
    if source == "malloc":
        assert silent <= QUIET | MAY_BE_QUIET
    assert not {"create", "load", "clone", "train", "predict", "stream_create"} & silent


def test_no_file_is_left_by_a_save_without_memory(program, library, tmp_path):
    result = harness.run([program, library, "malloc", "cold", "save"], cwd=tmp_path)
    harness.assert_no_findings(result.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {"faults.safetensors", "saved.safetensors"}


SABOTAGE = {
    "lstm_save": 'fclose(fopen(path, "w")); return 0;',
    "lstm_create": "free(malloc(8)); return 0;",
    "lstm_clone": "char *p = malloc(8); *p = 1; free(p); return 0;",
    "lstm_predict": "void *p = malloc(8), *q = malloc(8); if (!q) return LSTM_ERR_NOMEM; free(p); free(q); return 0;",
    "lstm_evaluate": "void *p = malloc(8); free(p); return p ? 0 : LSTM_ERR_ARG;",
    "lstm_summary": "static int n; void *p = malloc(8); free(p); n |= !p; return n ? LSTM_ERR_NOMEM : 0;",
}


def test_each_finding_can_be_made(program, workshop, tmp_path):
    stub = workshop.stub(harness.stub_source(SABOTAGE), "careless")
    found = harness.run([program, stub, "malloc", "warm"], cwd=tmp_path).stdout
    assert "FINDING clone: allocation 1: killed by Segmentation fault" in found
    assert "FINDING predict: allocation 2: 1 blocks are left over" in found
    assert "FINDING evaluate: allocation 1: gave -1" in found
    assert "FINDING summary: allocation 1 and all after it: stub" in found
    assert "FINDING create:" not in found


@pytest.mark.parametrize(("name", "lines"), [("stream_quiet", 3), ("generation_quiet", 5), ("training_quiet", 54)])
def test_steps_neither_allocate_nor_call_the_system(name, lines, library, workshop):
    flags = (f"-I{FAULTS}", "-rdynamic", "-fno-builtin")
    program = workshop.compile(FAULTS / f"{name}.c", FAULTS / "failing_malloc.c", flags=flags)
    quiet = harness.check([program, library, "quiet"]).splitlines()
    assert [line for line in quiet if not line.endswith(": quiet")] == []
    assert len(quiet) == lines
    noisy = harness.check([program, library, "noisy"]).splitlines()
    assert all(line.endswith(": killed by Bad system call") for line in noisy if not line.startswith("epochs "))
