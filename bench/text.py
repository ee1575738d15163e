"""How figures are written."""

from __future__ import annotations

from figures import seconds
from workloads import Workload


def duration(value: float) -> str:
    unit, size = next((pair for pair in (("s", 1), ("ms", 1e-3)) if value >= pair[1]), ("µs", 1e-6))
    number = value / size
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f} {unit}"


def times(value: float) -> str:
    return f"{value:.{1 if value >= 10 else 2}f}x"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share(workload: Workload, result: dict, one: dict) -> str:
    peak = result["limits"]["fma"][0 if workload.threads == 1 else 1] * 1e9
    return f"{100 * result['flops'] / seconds(one) / peak:.0f} %"
