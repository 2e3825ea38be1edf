"""Run the console script tied to its parent: when the parent dies, however suddenly, this process is ended.

`python -m web.tether PARENT ARGUMENTS...` is `anomalyai ARGUMENTS...`; PARENT is the parent's process id. On
Linux the kernel sends SIGTERM at the parent's death (more exactly, at the end of the thread that started this
process, which therefore has to stay); elsewhere the process ends when the server no longer answers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from web.cli import main

PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Ask for SIGTERM when the parent ends; exit at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    tie(int(sys.argv.pop(1)))
    main()
