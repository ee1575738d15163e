"""The part of docs/benchmarks.md about the whole family, and its picture."""

from __future__ import annotations

from pathlib import Path

import picture
from family import AGAINST_TIMESTEPS, BATCH, FAMILY, INPUTS, LENGTHS, LONG_BATCH, TIMESTEPS, against
from figures import OURS, measured, ratio, seconds
from text import duration, share, table, times

METHOD = f"""\
{INPUTS} inputs, layers of 256 units and {TIMESTEPS} timesteps, a batch of {BATCH}, sequences out; attention has 4
heads, the encoder 1024 units within, the convolution a window of 5 steps, the projection 128 numbers, and there are
32 tags and classes. The loss is the mean squared error, but for the rows of CRF and CTC. PyTorch runs its own modules
where it has them: nn.RNN, nn.LSTM with proj_size, nn.Conv1d, nn.MultiheadAttention, nn.TransformerEncoderLayer and
ctc_loss. The other cells are written out with the products of the inputs for all timesteps at once, and run eagerly
and with their step compiled; mLSTM in its parallel form; minLSTM and minGRU by the scan in logarithms and in a loop
over time. The fastest is shown. Outputs, and weights after a step, agree to 1e-4, a tenth of Adam's step: the
gradient of the bias of attention's keys is nothing but errors of rounding. All else is done as with the table at the
top, in fewer and shorter rounds."""


def note(results: dict) -> str:
    about = results["machine"]
    return (
        f"Measured by `make bench` or `make bench ONLY=family`: {results['date']}, {about['processor']}, "
        f"{about['processors']} processors, {about['system']}, Python {about['python']}. "
        f"{', '.join(results['versions'].values())}. {results['rounds']} rounds; other processes took "
        f"{100 * results['foreign']:.0f} % of a processor meanwhile"
        f"{', behind the contenders' if results['priority'] else ''}."
    )


def cells(results: dict, name: str) -> tuple[str, str, str]:
    """Our time, PyTorch's, and their ratio."""
    found = measured(results["workloads"][name])
    if len(found) < 2:
        return ("failed", "failed", "-")
    ours, peer = found[OURS], found["PyTorch"]
    return duration(seconds(ours)), duration(seconds(peer)), times(ratio(peer, ours))


def main_table(results: dict) -> str:
    rows = []
    for name, workload in FAMILY.items():
        if name in _lengths():
            continue
        found = measured(results["workloads"][name])
        one = found.get("PyTorch", {})
        of_peak = share(workload, {**results, **results["workloads"][name]}, found[OURS]) if OURS in found else "-"
        difference = f"{one['difference']:.0e}" if one else "-"
        rows.append([name, *cells(results, name), one.get("variant", "-"), of_peak, difference])
    return table(["", OURS, "PyTorch", "PyTorch / ours", "its setting", "ours: of FMA peak", "differs by"], rows)


def _lengths() -> set[str]:
    return {against(kind, steps) for kind in AGAINST_TIMESTEPS for steps in LENGTHS}


def lengths_table(results: dict) -> str:
    rows = []
    for kind in AGAINST_TIMESTEPS:
        rows.append([kind])
        for steps in LENGTHS:
            ours, peer, gain = cells(results, against(kind, steps))
            rows[-1].append(f"{ours}, {peer}, {gain}")
    return table(["", *(f"{steps} timesteps" for steps in LENGTHS)], rows)


def page(results: dict) -> str:
    return "\n\n".join(
        [
            f"## The whole family\n\n{note(results)}\n\nTime of a training step, or of the prediction of a batch.",
            main_table(results),
            f"Time of a training step against the number of timesteps, a batch of {LONG_BATCH}: ours, PyTorch's, and "
            "how many times ours that is. minLSTM and minGRU multiply all timesteps at once; what follows step by step "
            "is elementwise.",
            lengths_table(results),
            "![Time of a training step against the number of timesteps](benchmarks-timesteps.png)",
            METHOD,
        ]
    )


def draw(results: dict, path: Path) -> None:
    lines = {}
    for kind in AGAINST_TIMESTEPS:
        for name in (OURS, "PyTorch"):
            points = [(steps, measured(results["workloads"][against(kind, steps)]).get(name)) for steps in LENGTHS]
            lines[kind, name] = [(steps, 1e3 * seconds(one)) for steps, one in points if one]
    picture.draw_lines(lines, path)


def losses(results: dict) -> list[str]:
    found = []
    for name, one in results["workloads"].items():
        both = measured(one)
        if len(both) == 2 and ratio(both["PyTorch"], both[OURS]) < 1:
            found.append(f"{name}: PyTorch takes {ratio(both['PyTorch'], both[OURS]):.2f} of our time.")
    return found
