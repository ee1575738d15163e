"""Pictures of what `Model.inspect` and `Model.saliency` give for one sample: gates, attention and saliency.

Each function returns a matplotlib Figure, which has `savefig`. ImportError: there is no matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["attention", "gates", "saliency"]

_GATES = {4: ("i", "f", "g", "o"), 3: ("z", "r", "n"), 2: ("z", "n")}


def gates(values: Any, names: Sequence[str] | None = None) -> Figure:
    """The gates [T, gates, units] of one sample over time, a panel for each; `names` unless those of an LSTM or GRU."""
    array = _array("gates", values, 3, "[T, gates, units]")
    count = array.shape[1]
    given = list(names or _GATES.get(count) or range(count))
    if len(given) != count:
        raise ValueError(f"names: expected {count}, one for each gate, got {len(given)}")
    figure = _figure("gates", 2 + 1.5 * count)
    for index, name in enumerate(given):
        axes = figure.add_subplot(count, 1, index + 1, ylabel="unit", title=str(name))
        least = 0.0 if array[:, index].min() >= 0 else -1.0
        image = axes.imshow(array[:, index].T, aspect="auto", vmin=least, vmax=1, interpolation="nearest")
        figure.colorbar(image, ax=axes)
    axes.set_xlabel("timestep")
    return figure


def attention(values: Any, queries: Sequence[Any] | None = None, keys: Sequence[Any] | None = None) -> Figure:
    """The attention weights [heads, T, S] of one sample, a panel for each head, with words for timesteps if given."""
    array = _array("attention", values, 3, "[heads, T, S]")
    heads = array.shape[0]
    figure = _figure("attention", 4.0, width=4.0 * heads)
    for head in range(heads):
        axes = figure.add_subplot(1, heads, head + 1, title=f"head {head}", xlabel="key", ylabel="query")
        axes.imshow(array[head], vmin=0, interpolation="nearest")
        if keys is not None:
            axes.set_xticks(range(array.shape[2]), _labels("keys", keys, array.shape[2]), rotation=90)
        if queries is not None:
            axes.set_yticks(range(array.shape[1]), _labels("queries", queries, array.shape[1]))
    return figure


def saliency(values: Any, labels: Sequence[Any] | None = None) -> Figure:
    """The saliency [T, features] of one sample: each number, and their sum at each timestep, with words if given."""
    array = _array("saliency", values, 2, "[T, features]")
    figure = _figure("saliency", 5.0)
    axes = figure.add_subplot(2, 1, 1, ylabel="feature")
    limit = float(np.abs(array).max()) or 1.0
    image = axes.imshow(array.T, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    figure.colorbar(image, ax=axes)
    axes = figure.add_subplot(2, 1, 2, ylabel="sum")
    axes.bar(range(len(array)), array.sum(1))
    if labels is not None:
        axes.set_xticks(range(len(array)), _labels("labels", labels, len(array)), rotation=90)
    return figure


def _array(name: str, values: Any, rank: int, shape: str) -> Any:
    array = np.asarray(values, np.float64)
    if array.ndim != rank or 0 in array.shape:
        raise ValueError(f"{name}: expected {shape} of one sample, got shape {array.shape}")
    return array


def _labels(name: str, given: Sequence[Any], count: int) -> list[str]:
    labels = [str(one) for one in given]
    if len(labels) > count:
        raise ValueError(f"{name}: expected at most {count}, one for each timestep, got {len(labels)}")
    return labels + [""] * (count - len(labels))


def _figure(name: str, height: float, width: float = 8.0) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(f"lstm.plot.{name}() needs matplotlib: pip install matplotlib") from None
    return Figure(figsize=(width, height), layout="constrained")
