"""What the raw results say: medians over the rounds, and ratios within each."""

from __future__ import annotations

import statistics

OURS = "liblstm"
PEERS = ("PyTorch", "Keras", "JAX", "ONNX Runtime", "OpenVINO")


def seconds(one: dict, key: str = "median") -> float:
    return statistics.median(turn[key] for turn in one["rounds"])


def ratio(one: dict, base: dict) -> float:
    """How many times as long as `base` it takes: the median over the rounds."""
    return statistics.median(a["median"] / b["median"] for a, b in zip(one["rounds"], base["rounds"]))


def measured(result: dict) -> dict[str, dict]:
    return {name: one for name, one in result["contenders"].items() if one["rounds"]}


def best_peer(result: dict) -> str | None:
    peers = [name for name in measured(result) if name in PEERS]
    return min(peers, key=lambda name: seconds(result["contenders"][name]), default=None)
