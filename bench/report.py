"""From the benchmark's raw results to docs/benchmarks.md and its pictures; prints the tables too.

python bench/report.py     writes both again from build/bench/results.json
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import picture
import report_family
from figures import OURS, PEERS, best_peer, measured, ratio, seconds
from text import duration, share, table, times
from workloads import WORKLOADS, Dense, Embedding, Workload

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

METHOD = """\
## How it is measured

`make bench` makes the environment (bench/requirements.txt), the library and this page. Every contender is a process of
its own that is stopped while another one works. All have the same first weights and the same data in memory, in the
order of axes that suits them best, float32, the same loss and Adam with Keras's epsilon on every weight, and as many
threads as the machine has processors; streams have one. Each tries its settings first and keeps the fastest. Then
what it computes is compared: in training the loss and every weight after one step (loss to 1e-5 of itself, weights to
2e-5, a fiftieth of Adam's step), else the outputs (to 2e-5); a contender that differs is not measured. Then come the
rounds: each contender in turn warms up and works for a moment, in which the median counts. The tables show the
median of the rounds; a ratio is the median of the ratios within each round.

Training is one step on a batch that is in memory, as a loop calls it (`Trainer.step` here). `fit` is the time of a
step inside one call of `fit`. Streaming is one timestep a call: ours from a C program, the others from Python, which is
how they are used; "from Python" is ours through its own package. p99 is that of short blocks of calls.

The FMA peak is that of a loop of fused multiply-adds in registers, run just before each workload on the same number of
threads. The share of it counts the operations of the matrix products that cannot be avoided (the gradient of the
samples can), and no others."""


def shape(workload: Workload) -> str:
    parts = [f"{workload.inputs} inputs"] if workload.inputs else []
    for layer in workload.layers:
        if isinstance(layer, Embedding):
            parts.append(f"embedding {layer.vocabulary} x {layer.units}")
        elif isinstance(layer, Dense):
            parts.append(f"dense {layer.units}")
        else:
            parts.append(f"{'bi' * layer.bidirectional}{layer.cell} {layer.units}")
    steps = f"10 to {workload.timesteps}" if workload.ragged else workload.timesteps
    if workload.kind in ("train", "predict"):
        parts.append(f"{steps} timesteps, batch {workload.batch}")
    elif workload.kind == "streams":
        parts.append(f"{workload.batch} streams, one timestep of each")
    if workload.kind == "train":
        parts.append({"mse": "mse"}.get(workload.loss, workload.loss.replace("_", " ")))
    return ", ".join(parts)


def main_table(results: dict) -> str:
    rows = []
    for name, result in results["workloads"].items():
        found, peer, workload = measured(result), best_peer(result), WORKLOADS[name]
        cells = [name, duration(seconds(found[OURS])) if OURS in found else state(result, OURS)]
        for other in PEERS:
            text = duration(seconds(found[other])) if other in found else state(result, other)
            cells.append(f"**{text}**" if other == peer else text)
        both = OURS in found and peer is not None
        cells.append(times(ratio(found[peer], found[OURS])) if both else "-")
        shown = found[OURS] if OURS in found else found.get(peer)
        cells.append(share(workload, result, shown) if shown else "-")
        note = found.get(OURS, {}).get("note")
        cells.append(duration(note["fit"]) if note else "")
        rows.append(cells)
    ours = any(OURS in result["contenders"] for result in results["workloads"].values())
    last = "of FMA peak" if ours else "best: of FMA peak"
    return table(["", OURS, *PEERS, "best peer / ours", last, "in `fit`"], rows)


def state(result: dict, name: str) -> str:
    one = result["contenders"].get(name)
    if one is None:
        return ""
    return "not yet" if "not_yet" in one else "failed"


def other_table(results: dict) -> str:
    """What is not float32 called in the plain way."""
    rows = []
    for name, result in results["workloads"].items():
        found, peer = measured(result), best_peer(result)
        shown = [other for other in found if other not in PEERS and other != OURS]
        if WORKLOADS[name].kind == "stream" and OURS in found:
            shown = [OURS, *shown]
        for other in shown:
            one = found[other]
            cells = [name, other, duration(seconds(one)), duration(seconds(one, "p99"))]
            cells.append(times(ratio(found[peer], one)) if peer else "-")
            cells.append(times(ratio(found[OURS], one)) if OURS in found else "-")
            cells.append(f"{one['difference']:.1e}")
            rows.append(cells)
    head = ["", "", "median", "p99", "best float32 peer / this", "ours float32 / this", "differs from ours by"]
    return table(head, rows) if rows else ""


def comparisons(results: dict) -> list[str]:
    """Ours with ours, in sentences."""
    lines, all_found = [], {name: measured(result) for name, result in results["workloads"].items()}
    padded, ragged = (all_found.get(name, {}).get(OURS) for name in ("forecast-train", "ragged-train"))
    if padded and ragged:
        gain = seconds(padded) / seconds(ragged)
        lines.append(f"Ragged rows: {gain:.2f} times the samples a second of the same rows padded to full length.")
    for name, found in all_found.items():
        if "liblstm from Python" in found and OURS in found:
            added = seconds(found["liblstm from Python"]) - seconds(found[OURS])
            lines.append(f"{name}: a call from Python adds {1e6 * added:.2f} µs to a timestep.")
        if "liblstm, one by one" in found and OURS in found:
            gain = ratio(found["liblstm, one by one"], found[OURS])
            lines.append(f"{name}: stepped together, {gain:.1f} times the samples a second of one by one.")
    return lines


def settings_table(results: dict) -> str:
    rows = []
    for name, result in results["workloads"].items():
        for other, one in measured(result).items():
            tried = {key: value for key, value in one["variants"].items() if len(one["variants"]) > 1}
            if tried:
                texts = [f"{key} {duration(v) if isinstance(v, float) else v}" for key, v in tried.items()]
                rows.append([name, other, one["variant"], ", ".join(texts)])
    return table(["", "", "kept", "tried"], rows) if rows else ""


def limits_table(results: dict) -> str:
    limits = results["limits"]
    rows = [["fused multiply-adds", *(f"{value:.0f} GFLOP/s" for value in limits["fma"])]]
    rows += [[f"{key}, read", *(f"{v:.0f} GB/s" for v in limits[key])] for key in ("L1", "L2", "L3", "DRAM")]
    peaks = [result["limits"]["fma"][1] for result in results["workloads"].values()]
    if peaks:
        rows.append(["fused multiply-adds before each workload", "", f"{min(peaks):.0f} to {max(peaks):.0f} GFLOP/s"])
    return table(["", "1 thread", f"{limits['threads']} threads"], rows)


def losses(results: dict) -> list[str]:
    lines = []
    for name, result in results["workloads"].items():
        found, peer = measured(result), best_peer(result)
        if OURS in found and peer is not None:
            slower = [other for other in PEERS if other in found and ratio(found[other], found[OURS]) < 1]
            for other in slower:
                lines.append(f"{name}: {other} takes {ratio(found[other], found[OURS]):.2f} of our time.")
    return lines + (report_family.losses(results["family"]) if "family" in results else [])


def failures(results: dict) -> list[str]:
    lines = []
    for name, result in {**results["workloads"], **results.get("family", {}).get("workloads", {})}.items():
        for other, one in result["contenders"].items():
            if "failed" in one:
                lines.append(f"{name}: {other}: {one['failed']}.")
            elif "not_yet" in one:
                lines.append(f"{name}: {other}: not yet ({one['not_yet']}).")
    return lines


def load_text(results: dict) -> str:
    rows = []
    for name, found in results.get("load", {}).items():
        for state_name, all_times in found.items():
            several, one = [statistics.median(all_times[key]) for key in (OURS, "liblstm, 1 thread")]
            pairs = zip(all_times["liblstm, 1 thread"], all_times[OURS])
            gain = statistics.median(a / b for a, b in pairs)
            label = "alone" if state_name == "alone" else "beside a busy process on each processor"
            rows.append([name, label, duration(several), duration(one), times(gain)])
    if not rows:
        return ""
    return "## On a busy machine\n\n" + table(["", "", "threads as chosen", "1 thread", "gain"], rows)


def memory_text(results: dict) -> str:
    rows = []
    for name, one in results.get("memory", {}).items():
        if "failed" not in one:
            added = one["peak"] - one["before"]
            kept = (one["parameters"], one["activations"])
            figures = (one["peak"], added, *kept)
            rows.append([name, *(f"{value:.0f} MB" for value in figures), times((added - kept[0]) / kept[1])])
    if not rows:
        return ""
    head = ["", "peak resident", "of it by training", "parameters x 4", "activations", "the rest / activations"]
    text = (
        "A Python process that trains; interpreter, numpy and data are no part of the second column. Parameters count "
        "four times, with their gradient and Adam's moments; activations are gates, c and h of a recurrent layer and "
        "the outputs of the others. The rest is all but the parameters."
    )
    return f"## Memory\n\n{table(head, rows)}\n\n{text}"


def page(results: dict) -> str:
    about, versions = results["machine"], sorted(set(results["versions"].values()))
    lost, failed = losses(results), failures(results)
    parts = [
        "# Benchmarks\n\nWritten by `make bench`; do not edit.",
        f"{results['date']}, {about['processor']}, {about['processors']} processors, {about['system']}, "
        f"Python {about['python']}. {', '.join(versions)}. {results['rounds']} rounds; "
        f"other processes took {100 * results['foreign']:.0f} % of a processor meanwhile"
        f"{', behind the contenders' if results['priority'] else ''}.",
        "![Time of each contender beside ours](benchmarks.png)",
        "Time of a training step, of the prediction of a batch, of a timestep; bold is the best peer.",
        main_table(results),
        table(
            ["", "", "GFLOP", "weights"],
            [
                [name, shape(WORKLOADS[name]), f"{one['flops'] / 1e9:.3g}", f"{one['weights'] / 1e6:.3g} MB"]
                for name, one in results["workloads"].items()
            ],
        ),
    ]
    if OURS in results["versions"]:
        where = "\n".join(f"- {line}" for line in lost) if lost else "On none of these workloads in this run."
        parts.append(f"## Where we lose\n\n{where}")
    if other := other_table(results):
        parts.append(f"## Streams and compressed weights\n\n{other}")
    if lines := comparisons(results):
        parts.append("\n".join(f"- {line}" for line in lines))
    if "family" in results:
        parts.append(report_family.page(results["family"]))
    parts.append(f"## The machine\n\n{limits_table(results)}")
    parts += [text for text in (load_text(results), memory_text(results)) if text]
    if settings := settings_table(results):
        parts.append(f"## Settings tried\n\n{settings}")
    if failed:
        parts.append("## Not measured\n\n" + "\n".join(f"- {line}" for line in failed))
    parts.append(METHOD)
    return "\n\n".join(parts) + "\n"


def write(results: dict, whole: bool) -> None:
    """Prints the tables; the page and the picture are written where the run was a whole one."""
    if whole:
        (DOCS / "benchmarks.md").write_text(page(results))
        picture.draw(results, DOCS / "benchmarks.png")
        if "family" in results:
            report_family.draw(results["family"], DOCS / "benchmarks-timesteps.png")
    texts = []
    if results["workloads"]:
        texts = [main_table(results), other_table(results), load_text(results), memory_text(results)]
        texts.append(limits_table(results))
    if "family" in results:
        texts += [report_family.main_table(results["family"]), report_family.lengths_table(results["family"])]
    print("\n\n".join(text for text in texts if text))
    lines = [*comparisons(results), *losses(results), *failures(results)]
    print("\n" + "\n".join(lines) if lines else "")
    if "minutes" in results:
        print(f"{results['minutes']:.0f} minutes; {'docs/benchmarks.md' if whole else 'no page for a part of the run'}")


if __name__ == "__main__":
    write(json.loads((ROOT / "build/bench/results.json").read_text()), whole=True)
