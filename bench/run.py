"""The benchmark: every contender on every workload, interleaved, beside the limits of the machine.

    python bench/run.py [--only NAME,...] [--rounds N] [--seconds S] [--peers] [--priority]

`make bench` calls it; the exit code tells whether a contender failed or computed something else. Of each workload every
contender first tries its settings and keeps the best; then what it computes is compared with ours, and one that differs
is not measured. Then rounds: each contender in turn works for a moment.

Results: build/bench/results.json, and from it docs/benchmarks.md and its pictures (report.py). The whole family
(family.py) is a part of it with a date of its own: `--only family` renews that part.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from datetime import date

import numpy as np
import report
from contender import BUILD, CONTENDERS, Contender, Failure, busy_seconds
from family import FAMILY
from figures import OURS
from machine import about, busy, machine, memory
from workloads import WORKLOADS, Workload

RESULTS = BUILD / "results.json"

PEERS_OF = {
    "train": ["PyTorch", "Keras", "JAX"],
    "predict": ["PyTorch", "Keras", "JAX", "ONNX Runtime", "OpenVINO"],
    "stream": ["PyTorch", "JAX", "ONNX Runtime", "OpenVINO"],
    "streams": ["PyTorch", "JAX", "ONNX Runtime", "OpenVINO"],
}
# What two contenders may differ by: the loss relatively, everything else absolutely. A step of Adam moves a weight by
# 1e-3, and by 2e-5 more or less where gradients nearly cancel.
TOLERANCES = {"train": 2e-5, "predict": 2e-5, "stream": 2e-5, "streams": 2e-5}
LOSS_TOLERANCE = 1e-5
# Rounded weights, and in OpenVINO activations: this only tells a mistake.
TIER_TOLERANCES = {"bf16": 2e-2, "int8": 1e-1}
# The gradient of the bias of an attention's keys is nothing but errors of rounding, of which Adam makes steps; an mLSTM
# divides by sums that nearly cancel.
FAMILY_TOLERANCE = 1e-4
# The family's workloads are many, and each is measured more shortly.
FAMILY_ROUNDS, FAMILY_SECONDS = 3, 0.25


class Bench:
    def __init__(self, options: argparse.Namespace, priority: bool) -> None:
        self.options, self.priority = options, priority
        self.running: dict[str, Contender] = {}
        self.versions: dict[str, str] = {}

    def contender(self, name: str) -> Contender:
        if name not in self.running or self.running[name].process.poll() is not None:
            self.running[name] = Contender(name, self.priority)
            self.versions[name] = self.running[name].version
        return self.running[name]

    def close(self) -> None:
        for one in self.running.values():
            one.close()

    def names(self, workload: Workload) -> list[str]:
        if workload.name in FAMILY:
            return [OURS, "PyTorch"]
        ours = [OURS, *(f"liblstm {tier}" for tier in workload.tiers)]
        if workload.kind == "stream":
            ours.append("liblstm from Python")
            if workload.layers[0].units >= 256:
                ours += ["liblstm, 2 threads", "liblstm, block call"]
        elif workload.kind == "streams":
            ours.append("liblstm, one by one")
        others = PEERS_OF[workload.kind] + (["OpenVINO bf16"] if "bf16" in workload.tiers else [])
        return others if self.options.peers else [*ours, *others]

    def family(self) -> dict:
        """Everything about the whole family."""
        begin = time.monotonic()
        options = argparse.Namespace(**vars(self.options))
        self.options.rounds = min(FAMILY_ROUNDS, options.rounds)
        self.options.seconds = min(FAMILY_SECONDS, options.seconds)
        try:
            workloads = {workload.name: self.run(workload) for workload in FAMILY.values()}
            return {
                **header(self.options),
                "workloads": workloads,
                "foreign": foreign(workloads),
                "versions": {name: self.versions[name] for name in (OURS, "PyTorch")},
                "minutes": (time.monotonic() - begin) / 60,
            }
        finally:
            self.options = options

    def run(self, workload: Workload) -> dict:
        """Everything about one workload."""
        found: dict[str, dict] = {}
        for name in self.names(workload):
            found[name] = self.prepare(name, workload)
        self.compare(workload, found)
        ready = [name for name, one in found.items() if "variant" in one]
        limits = machine(self.priority, "quick")
        for number in range(self.options.rounds):
            for name in ready:
                self.turn(name, found[name])
            print(f"\r  {workload.name}: round {number + 1} of {self.options.rounds}", end="", flush=True)
        print("\r" + " " * 60, end="\r")
        for name in ready:
            if CONTENDERS[name][0] == "ours" and workload.kind == "train" and workload.name not in FAMILY:
                found[name]["note"] = self.contender(name).ask(do="note")
            self.contender(name).ask(do="drop")
        return {"contenders": found, "limits": limits, "flops": workload.flops, "weights": workload.weight_bytes}

    def prepare(self, name: str, workload: Workload) -> dict:
        begin = time.monotonic()
        try:
            one = self.contender(name)
            answer = one.ask(do="prepare", workload=workload.name)
            if "not_yet" not in answer:
                path = BUILD / f"{name}.npz"
                one.ask(do="result", path=str(path))
                with np.load(path) as arrays:
                    answer["arrays"] = [arrays[key] for key in arrays]
        except Failure as failure:
            answer = {"failed": str(failure)}
        news = answer.get("variant") or answer.get("not_yet") or answer.get("failed")
        print(f"  {workload.name}: {name}: {news} ({time.monotonic() - begin:.0f} s)", flush=True)
        return {**answer, "rounds": []}

    def compare(self, workload: Workload, found: dict[str, dict]) -> None:
        """With ours, or with the first that works where ours does not yet; who differs is out."""
        arrays = {name: one.pop("arrays") for name, one in found.items() if "arrays" in one}
        base = next(iter(arrays), None)
        for name in arrays:
            tolerance = max(
                FAMILY_TOLERANCE if workload.name in FAMILY else TOLERANCES[workload.kind],
                *(TIER_TOLERANCES.get(CONTENDERS[one][1], 0) for one in (name, base)),
            )
            found[name]["compared_with"] = base
            found[name]["difference"] = difference = differ(arrays[name], arrays[base], workload.kind == "train")
            if not difference <= tolerance:
                found[name]["failed"] = f"differs from {base} by {difference:.2g}, more than {tolerance:.0e}"
                del found[name]["variant"]
                self.contender(name).ask(do="drop")
                print(f"  {workload.name}: {name} {found[name]['failed']}", flush=True)

    def turn(self, name: str, found: dict) -> None:
        one = self.contender(name)
        begin, own, all_of_it = time.monotonic(), one.cpu_seconds(), busy_seconds()
        figures = one.ask(do="measure", seconds=self.options.seconds)
        foreign = busy_seconds() - all_of_it - (one.cpu_seconds() - own)
        figures["foreign"] = max(0, foreign / (time.monotonic() - begin))
        found["rounds"].append(figures)

    def under_load(self, name: str) -> dict:
        """Training on one thread and on as many as the library likes, first alone, then beside a busy process on each
        processor. Seconds of a step, by rounds."""
        workload, found = WORKLOADS[name], {}
        names = [OURS, "liblstm, 1 thread"]
        ready = {one: self.prepare(one, workload) for one in names}
        if not all("variant" in one for one in ready.values()):
            return {}
        for state in ("alone", "loaded"):
            load = [busy(processor) for processor in os.sched_getaffinity(0)] if state == "loaded" else []
            try:
                times: dict[str, list[float]] = {one: [] for one in names}
                for _ in range(self.options.rounds):
                    for one in names:
                        seconds = 2 * self.options.seconds
                        times[one].append(self.contender(one).ask(do="measure", seconds=seconds)["median"])
                found[state] = times
            finally:
                for process in load:
                    process.kill()
                    process.wait()
        for one in names:
            self.contender(one).ask(do="drop")
        return found


def header(options: argparse.Namespace) -> dict:
    """When, where and how."""
    return {
        "date": str(date.today()),
        "machine": about(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "priority": options.priority,
        "limits": machine(options.priority),
    }


def foreign(workloads: dict) -> float:
    """What other processes took of a processor, on the mean."""
    turns = [turn for one in workloads.values() for c in one["contenders"].values() for turn in c["rounds"]]
    return statistics.mean(turn["foreign"] for turn in turns) if turns else 0


def differ(found: list[np.ndarray], base: list[np.ndarray], training: bool) -> float:
    """The largest difference; of a loss, scaled so that its tolerance is that of the weights."""
    if [array.shape for array in found] != [array.shape for array in base]:
        return float("inf")
    worst = 0.0
    for index, (one, other) in enumerate(zip(found, base)):
        difference = float(np.max(np.abs(one - other), initial=0))
        if training and index == 0:
            difference *= TOLERANCES["train"] / LOSS_TOLERANCE / max(1e-6, abs(float(other)))
        worst = max(worst, difference) if difference == difference else float("nan")
    return worst


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="workloads, or 'family', 'load' or 'memory', by commas; all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a contender's turn")
    parser.add_argument("--peers", action="store_true", help="without ours")
    parser.add_argument("--priority", action="store_true", help="before others who use the machine (superuser)")
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    unknown = set(options.only) - {*WORKLOADS, "family", "load", "memory"}
    if unknown:
        parser.error(
            f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}, family, load, memory"
        )
    return options


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    BUILD.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in WORKLOADS.values() if not options.only or one.name in options.only]
    bench, ordinary, begin = Bench(options, options.priority), Bench(options, priority=False), time.monotonic()
    if options.only == ["family"]:
        return renew_family(bench)
    results = {**header(options), "workloads": {}}
    try:
        for workload in chosen:
            results["workloads"][workload.name] = bench.run(workload)
        if not options.peers and (not options.only or "family" in options.only):
            results["family"] = bench.family()
        if not options.peers and (not options.only or "memory" in options.only):
            results["memory"] = {name: memory(name) for name in ("hello-train", "charlm-train")}
        if not options.peers and (not options.only or "load" in options.only):
            results["load"] = {name: ordinary.under_load(name) for name in ("hello-train", "charlm-train")}
    finally:
        bench.close()
        ordinary.close()
    results["versions"] = bench.versions
    results["minutes"] = (time.monotonic() - begin) / 60
    results["foreign"] = foreign(results["workloads"])
    finish(results, whole=not options.only and not options.peers)


def renew_family(bench: Bench) -> None:
    """Puts new results of the family into those of the last whole run, if there is one."""
    try:
        family = bench.family()
    finally:
        bench.close()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    whole = set(results.get("workloads", {})) == set(WORKLOADS)
    finish({**results, "family": family} if whole else {"workloads": {}, "family": family}, whole)


def finish(results: dict, whole: bool) -> None:
    RESULTS.write_text(json.dumps(results, indent=1))
    report.write(results, whole)
    measured = [*results["workloads"].values(), *results.get("family", {}).get("workloads", {}).values()]
    if any("failed" in one for result in measured for one in result["contenders"].values()):
        sys.exit("a contender failed, see above")


if __name__ == "__main__":
    main()
