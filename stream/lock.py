"""One process per data directory, held by an advisory lock on `{data}/engine.lock`.

The lock belongs to the open file, not to the process: a server takes it in its parent process before forking
and the worker inherits the descriptor. It is free again when the last holder has closed it or died, so a
killed process never leaves a stale lock behind. Single-threaded.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from stream.errors import DataDirectoryInUse

LOCK_NAME = "engine.lock"


class DataDirectoryLock:
    """The right to write in a data directory; make one with `acquire`."""

    def __init__(self, data: Path, descriptor: int) -> None:
        self.data = data
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, data: Path) -> DataDirectoryLock:
        """Create the directory if need be and take its lock, without waiting.

        Raises
        ------
        DataDirectoryInUse
            Another process holds it; the message names its process id.
        """
        data.mkdir(parents=True, exist_ok=True)
        path = data / LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DataDirectoryInUse(
                f"the data directory {data} is in use by process {holder}",
                field="data",
                hint=f"stop that process (kill {holder}) or name another directory with --data",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return cls(data, descriptor)

    @property
    def held(self) -> bool:
        """Whether this object still has its descriptor open."""
        return self._descriptor is not None

    def release(self) -> None:
        """Close this process's descriptor; a process that inherited it keeps the lock. Repeatable."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
