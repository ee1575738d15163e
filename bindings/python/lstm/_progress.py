"""The progress of training on the terminal: a bar that rewrites its line, or one line an epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

from .callbacks import Logs

_WIDTH = 20
_INTERVAL = 0.05  # seconds between two drawings


def style(verbose: str | int) -> int:
    """0 for silence, 1 for a bar, 2 for a line an epoch; "auto" is a bar on a terminal. ValueError: anything else."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")
    if sys.stdout is None:
        return 0
    if verbose == "auto":
        return 1 if sys.stdout.isatty() else 2
    return int(verbose)


def figures(logs: Logs) -> str:
    """`loss 0.3012 - accuracy 0.9000`."""
    return " - ".join(
        f"{name} {value:.4f}" if abs(value) >= 1e-3 else f"{name} {value:.4g}" for name, value in logs.items()
    )


class Progress:
    """`Epoch 3/5  57/80 ━━━━━━━━━━ 0.4s  12345 samples/s  loss 0.3012 - accuracy 0.9000`."""

    def __init__(self, verbose: str | int, epochs: int) -> None:
        self.style = style(verbose)
        self._epochs = epochs
        self._next = 0.0
        self._length = 0
        self._marks = "━─" if _can_print("━─") else "=-"

    def due(self) -> bool:
        """Whether it is time to draw the bar again."""
        return self.style == 1 and time.monotonic() >= self._next

    def batch(self, epoch: int, progress: Any, logs: Logs) -> None:
        """Draws the bar in the middle of an epoch."""
        self._next = time.monotonic() + _INTERVAL
        self._draw(self._line(epoch, progress, logs), "")

    def epoch(self, epoch: int, progress: Any, logs: Logs) -> None:
        """Writes the line of a whole epoch."""
        self._next = 0.0
        if self.style == 1:
            self._draw(self._line(epoch, progress, logs), "\n")
        elif self.style == 2:
            print(self._line(epoch, progress, logs), flush=True)

    def close(self) -> None:
        """Ends a line that was left in the middle of an epoch."""
        if self._length:
            print(flush=True)
            self._length = 0

    def _line(self, epoch: int, progress: Any, logs: Logs) -> str:
        bar = ""
        if self.style == 1:
            done = _WIDTH * progress.batch // max(1, progress.batches)
            digits = len(str(progress.batches))
            marks = self._marks[0] * done + self._marks[1] * (_WIDTH - done)
            bar = f"{progress.batch:{digits}}/{progress.batches} {marks} "
        speed = f"{progress.samples_per_second:.0f} samples/s"
        return f"Epoch {epoch + 1}/{self._epochs}  {bar}{progress.seconds:.1f}s  {speed}  {figures(logs)}"

    def _draw(self, line: str, end: str) -> None:
        import shutil  # for this alone: it brings in three libraries of compression

        line = line[: shutil.get_terminal_size().columns - 1]
        print("\r" + line.ljust(self._length), end=end, flush=True)
        self._length = 0 if end else len(line)


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
