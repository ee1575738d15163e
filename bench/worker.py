"""One contender in a process of its own, told what to do by lines of JSON: `worker.py MODULE TIER`.

    {"do": "prepare", "workload": NAME}  makes every variant ready, tries each and keeps the fastest
    {"do": "result", "path": FILE}       writes what is compared to FILE (.npz)
    {"do": "measure", "seconds": S}      works for S seconds and gives the seconds of a unit of work
    {"do": "note"}                       gives a further figure, if the contender has one
    {"do": "drop"}                       forgets the workload

Every line is answered by one line. What libraries print goes to standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Callable

import numpy as np
from family import FAMILY
from jobs import Job, NotYet
from workloads import WORKLOADS

# A variant that takes longer to make ready is left out.
PATIENCE = 60
CALIBRATION = 0.4
WARM_UP = 0.1


def times(run: Callable[[], object], seconds: float, least: int = 3) -> list[float]:
    """The seconds of one call in each of at least `least` blocks of calls of half a millisecond or more."""
    clock = time.perf_counter
    begin = clock()
    run()
    once = clock() - begin
    calls = max(1, int(5e-4 / max(once, 1e-7)))
    end = begin + WARM_UP * min(1, seconds)
    while clock() < end:
        run()
    found, end, block = [], clock() + seconds, range(calls)
    while len(found) < least or clock() < end:
        begin = clock()
        for _ in block:
            run()
        found.append((clock() - begin) / calls)
    return found


def figures(job: Job, seconds: float) -> dict[str, float]:
    if job.figures is not None:
        return job.figures(seconds)
    found = times(job.run, seconds, 2)
    return {"median": statistics.median(found), "p99": float(np.quantile(found, 0.99)), "min": min(found)}


class Worker:
    def __init__(self, module: str, tier: str) -> None:
        self.contender = importlib.import_module(module)
        self.tier = tier
        self.job: Job | None = None

    def prepare(self, workload: str) -> dict[str, object]:
        tried: dict[str, object] = {}
        best, fastest = "", float("inf")
        for name, make in self.contender.variants({**WORKLOADS, **FAMILY}[workload], self.tier).items():
            try:
                signal.alarm(PATIENCE)
                job = make()
                tried[name] = seconds = figures(job, CALIBRATION)["median"]
            except NotYet:
                raise
            except Exception as error:
                traceback.print_exc()
                tried[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
                continue
            finally:
                signal.alarm(0)
            if seconds < fastest:
                best, fastest = name, seconds
                self.job, job = job, self.job
            close(job)
        if self.job is None:
            raise RuntimeError(f"no variant works: {tried}")
        return {"variant": best, "variants": tried}

    def result(self, path: str) -> dict[str, object]:
        arrays = [np.asarray(array, np.float32) for array in self.job.result()]
        np.savez(path, *arrays)
        return {}

    def measure(self, seconds: float) -> dict[str, object]:
        return {**figures(self.job, seconds)}

    def note(self) -> dict[str, object]:
        return {**self.job.note()} if self.job.note is not None else {}

    def drop(self) -> dict[str, object]:
        close(self.job)
        self.job = None
        gc.collect()
        return {}


def close(job: Job | None) -> None:
    if job is not None and job.close is not None:
        job.close()


def late(*_: object) -> None:
    raise TimeoutError(f"not ready after {PATIENCE} s")


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, late)
    worker = Worker(sys.argv[1], sys.argv[2])
    print(json.dumps({"version": worker.contender.version()}), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except NotYet as reason:
            answer = {"not_yet": str(reason)}
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=replies, flush=True)


if __name__ == "__main__":
    main()
