"""A progress bar on stderr for commands that know how much there is to do."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import click


class Bar:
    """Shows (done, total) as a bar where stderr is a terminal, and nothing where it is not."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None
        self._done = 0

    def update(self, done: int, total: int) -> None:
        """Move the bar to `done` of `total`."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = click.progressbar(length=total, label=self._label, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._done)
        self._done = done

    def __enter__(self) -> Bar:
        """Start with nothing shown."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the line that the bar stands on."""
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
