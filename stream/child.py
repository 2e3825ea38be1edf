"""Processes of the server's own, for long work: niced, on one thread, and gone when their server is.

The server starts one with `command` and `environment`, writes its task as one line to its standard input and
leaves that open; the process takes the line with `begin`, and ends where its standard input closes.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import IO

NICENESS = 10
ORPHANED = 3
PIECE_BYTES = 65_536
ERROR_CHARS = 500
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT",
    )
}


def command(module: str, data: Path) -> list[str]:
    """Return the command that runs a module of ours over a data directory."""
    return [sys.executable, "-P", "-m", module, str(data)]


def environment() -> dict[str, str]:
    """Return such a process's environment: the server's own packages, one thread for each library."""
    package = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": path}


def last_words(errors: IO[bytes]) -> str:
    """Return the last line that a process wrote to its standard error, usually its exception."""
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:ERROR_CHARS] if lines else "it said nothing"


def begin() -> bytes:
    """Step back behind the server and return the task; from here on, end when the server is gone."""
    os.nice(NICENESS)
    task = _first_line()
    threading.Thread(target=_end_with_server, daemon=True).start()
    return task


def _first_line() -> bytes:
    # not sys.stdin, which would read ahead, and whose lock aborts the interpreter when it ends
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, PIECE_BYTES)
        if not piece:
            os._exit(ORPHANED)
        line += piece
    return line


def _end_with_server() -> None:
    while os.read(0, PIECE_BYTES):
        pass
    os._exit(ORPHANED)
