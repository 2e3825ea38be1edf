"""What the tests of the stream share: a migrated database, a running writer, and small feeds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.database import Database
from stream.log import Log, LogItem, LogReader
from stream.writer import Writer


class RunningLog:
    """A log whose writer runs in a thread, with everything it handed over in `items`."""

    def __init__(self, data: Path) -> None:
        self.database = Database(data)
        self.database.migrate()
        self.writer = Writer(self.database)
        self.items: list[LogItem] = []
        self.log = Log(self.writer, self.items.extend)
        self.reader = LogReader(self.database)
        self.thread = threading.Thread(target=self.writer.run)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.writer.close()
        if self.thread.ident is not None:
            self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        self.database.close()


@pytest.fixture
def running_log(tmp_path: Path) -> Iterator[RunningLog]:
    running = RunningLog(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def waiting_log(tmp_path: Path) -> Iterator[RunningLog]:
    """Leave starting the writer to the test, so that it decides what waits together."""
    running = RunningLog(tmp_path)
    yield running
    running.stop()
