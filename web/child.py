"""A console command as a child of the server: it is stopped with the server, and dies with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STOP_S = 5.0


def start(arguments: Sequence[str], log_path: Path) -> subprocess.Popen[bytes]:
    """Run `anomalyai ARGUMENTS...`, its output in a file, tied to the thread that calls this."""
    command = [sys.executable, "-m", "web.tether", str(os.getpid()), *arguments]
    with log_path.open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def end(child: subprocess.Popen[bytes]) -> None:
    """Let a child finish what it does, and kill it if that takes too long."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
