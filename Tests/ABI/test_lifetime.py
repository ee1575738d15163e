"""The library as a guest: loaded and unloaded a thousand times, forked, and used by many threads."""

import os

import harness

CYCLES = 1000
# malloc's per-thread cache counts what it keeps as used: without it the heap's size is exact.
EXACT = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


def test_a_thousand_loads_and_unloads(library, workshop, capsys):
    program = workshop.compile(harness.ABI / "cycles.c")
    output = harness.check([program, library, CYCLES], env=EXACT)
    harness.report(capsys, f"{CYCLES} cycles: {' '.join(output.split())} (kB, bytes)")
    assert harness.figure(output, "rss_growth") <= 256  # the kernel counts in steps of up to 64 pages
    assert harness.figure(output, "heap_growth") == 0
    assert harness.figure(output, "keys_lost") == 0


LEAKY = """
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
__attribute__((constructor)) static void leak(void) {
  pthread_key_t key;
  pthread_key_create(&key, NULL);
  memset(malloc(999), 1, 999);
}
"""


def test_a_leak_would_be_seen(workshop):
    """The measures of cycles.c, on a library that loses a block and a thread key at each load."""
    stub = workshop.stub(LEAKY, "leaky")
    source = (
        (harness.ABI / "cycles.c").read_text().replace("open_library(arguments[1])", "dlopen(arguments[1], RTLD_NOW)")
    )
    (workshop.folder / "leaky_cycles.c").write_text(source.replace("    use();\n", ""))
    output = harness.check([workshop.compile(workshop.folder / "leaky_cycles.c"), stub, 1000])
    assert harness.figure(output, "heap_growth") > 500_000
    assert harness.figure(output, "rss_growth") > 500
    assert harness.figure(output, "keys_lost") > 900


def test_training_goes_on_after_fork(library, workshop):
    harness.check([workshop.compile(harness.ABI / "fork_training.c"), library])


def test_eight_threads_share_a_model(library, workshop):
    harness.check([workshop.compile(harness.ABI / "threads.c"), library])


def test_exercise_runs_as_it_is(library, workshop, tmp_path):
    harness.check([workshop.compile(harness.ABI / "exercise.c"), library], cwd=tmp_path)


def test_exercise_calls_every_function(header):
    """The program that the sanitizers watch leaves no function of the header out."""
    source = "".join((harness.ABI / name).read_text() for name in ("exercise.c", "support.h"))
    missing = [name for name in header.functions if f"{name}(" not in source]
    assert missing == []
