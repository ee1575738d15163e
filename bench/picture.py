"""The pictures of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from figures import OURS, PEERS, best_peer, measured, ratio

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402


def draw_lines(lines: dict[tuple[str, str], list[tuple[int, float]]], path: Path) -> None:
    """Milliseconds against timesteps, for each kind of layer and contender: whole lines are ours."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    colors = {kind: f"C{index}" for index, kind in enumerate(dict.fromkeys(kind for kind, _ in lines))}
    for (kind, name), points in lines.items():
        form = "o-" if name == OURS else "o--"
        axes.plot(*zip(*points), form, color=colors[kind], markersize=4, linewidth=1.2, label=f"{kind}, {name}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted({steps for points in lines.values() for steps, _ in points}))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("timesteps")
    axes.set_ylabel("a training step, ms")
    axes.legend(fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def draw(results: dict, path: Path) -> None:
    names = [name for name, result in results["workloads"].items() if measured(result)]
    shown = [one for one in PEERS if any(one in measured(results["workloads"][name]) for name in names)]
    figure, axes = pyplot.subplots(figsize=(9, 0.6 + 0.55 * len(names)), layout="constrained")
    height = 0.86 / len(shown)
    for index, one in enumerate(shown):
        at, bars = [], []
        for row, name in enumerate(names):
            result = results["workloads"][name]
            found = measured(result)
            base = found.get(OURS) or found[best_peer(result)]
            if one in found:
                at.append(row + (index - (len(shown) - 1) / 2) * height)
                bars.append(ratio(found[one], base))
        axes.barh(at, [value - 1 for value in bars], height, label=one, left=1)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    base = OURS if OURS in results["versions"] else "the best peer"
    axes.set_xlabel(f"time, as a multiple of that of {base}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(loc="upper right", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
