"""Child processes of a measurement: started, waited for until they are ready, and ended whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

END_TIMEOUT_S = 120.0


class Child:
    """A running module of ours that talks in lines; `said` is its first line, by which it is ready."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self._process = process
        self.said = said

    def tell(self, line: str) -> None:
        """Send a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Wait for its next line; empty when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def started(module: str, *arguments: str, ready: str) -> Iterator[Child]:
    """Run `python -m module` for the length of a block.

    Raises
    ------
    RuntimeError
        Its first line does not begin with `ready`.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line.startswith(ready):
                raise RuntimeError(f"{module} did not start: {line!r}, exit code {process.poll()}")
            yield Child(process, line)
        finally:
            process.terminate()
            process.wait(timeout=END_TIMEOUT_S)
