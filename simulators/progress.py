"""Progress on stderr: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any, Final, Self

import click

__all__ = ["Progress"]

EVERY_S: Final = 5.0


class Progress:
    """Shows how far a run is; `total` in any unit, None where there is no end. Single-threaded.

    Parameters
    ----------
    label : str
        What is being done.
    total : int or None
        Amount of work, for instance bytes of a file.
    every_s : float
        Seconds between lines where there is no bar.
    """

    def __init__(self, label: str, total: int | None, *, every_s: float = EVERY_S) -> None:
        self._label = label
        self._total = total
        self._every_s = every_s
        self._stack = ExitStack()
        self._bar: Any = None
        self._began_s = self._last_s = time.monotonic()
        self._done = 0

    def __enter__(self) -> Self:
        if self._total and sys.stderr.isatty():
            bar = click.progressbar(length=self._total, label=self._label, file=sys.stderr)
            self._bar = self._stack.enter_context(bar)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def show(self, done: int, records: int) -> None:
        """Say that `done` of the total is behind us, and how many records that was."""
        if self._bar is not None:
            self._bar.update(done - self._done)
            self._done = done
            return
        now_s = time.monotonic()
        if now_s - self._last_s >= self._every_s:
            self._last_s = now_s
            share = f", {100 * done / self._total:.0f} %" if self._total else ""
            rate = records / (now_s - self._began_s)
            click.echo(f"{self._label}: {records:,} records, {rate:,.0f}/s{share}", err=True)
