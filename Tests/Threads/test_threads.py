"""The team of threads by itself, without the library around it, and on how many processors a process may run."""

import os
import shutil

import harness

SHIM = harness.ROOT / "Sources" / "CLSTMShim"
FOLDER = harness.ROOT / "Tests" / "Threads"


def build(workshop, program: str, compiler: str = "gcc", flags: tuple[str, ...] = ()):
    parts = [SHIM / name for name in ("team.c", "float_modes.c", "shim.c")]
    return workshop.compile(FOLDER / program, *parts, compiler=compiler, flags=(f"-I{SHIM / 'include'}", *flags))


def test_team(workshop):
    harness.check([build(workshop, "team.c")], timeout=300)


def test_team_on_one_core(workshop):
    core = min(os.sched_getaffinity(0))
    harness.check([shutil.which("taskset"), "-c", core, build(workshop, "team.c")], timeout=300)


def test_team_under_thread_sanitizer(workshop):
    program = build(workshop, "team.c", harness.CLANG, harness.sanitizer_flags("thread"))
    harness.check([program, "sanitized"], timeout=300)


def test_affinity(workshop):
    program = build(workshop, "affinity.c")
    own = os.sched_getaffinity(0)
    assert harness.figure(harness.check([program]), "affinity") == len(own)
    output = harness.check([shutil.which("taskset"), "-c", min(own), program])
    assert harness.figure(output, "affinity") == 1
