"""What the tests of the stream share: a migrated database, a running writer, and small feeds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from stream.admission import Body, Shared
from stream.backlog import Backlog
from stream.database import Database
from stream.dedup import Ack, Key, Memory
from stream.feeds import Feeds
from stream.log import Log, LogItem, LogReader
from stream.policy import Policies
from stream.testing import ManualClock
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
        self.backlog = Backlog(1_000_000, 1 << 30)
        self.thread = threading.Thread(target=self.writer.run)

    def start(self) -> None:
        if self.thread.ident is None:
            self.thread.start()

    def fill_disk(self) -> None:
        """Let SQLite refuse to grow the file from here on, as a full disk does. Before `start`."""
        with self.database.writer.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        statement = f"PRAGMA max_page_count={pages}"
        sa.event.listen(self.database.writer, "connect", lambda raw, _: raw.execute(statement))

    def feeds(self, **changes: Any) -> Feeds:
        """Load the feeds of this database, as after a start."""
        shared = Shared(
            log=self.log,
            memory=Memory(self.database),
            backlog=self.backlog,
            clock=ManualClock(),
            policies=Policies(self.backlog, named=changes.pop("policies", ())),
            default_budget=changes.pop("default_budget", "1/1000"),
            max_producers=changes.pop("max_producers", 100),
        )
        feeds = Feeds(shared, self.reader, max_feeds=changes.pop("max_feeds", 10), max_body_bytes=1 << 20)
        feeds.load()
        return feeds

    def stop(self) -> None:
        self.writer.close()
        if self.thread.ident is not None:
            self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        self.database.close()


def json_body(data: bytes, key: Key | None = None, media: str | None = "application/json") -> Body:
    """Return a body as an HTTP request brings it."""
    return Body(data, lambda intake, at: intake.admit(data, media, arrival_s=at), key)


def send(feeds: Feeds, data: bytes, key: Key | None = None, feed: str = "f") -> Ack:
    """Send a body and wait until it is durable."""
    ack = feeds.admit(feed, json_body(data, key)).result().ack
    assert ack is not None
    return ack


def rows(first: int, n: int) -> bytes:
    """Return a JSON array of n small records, all different."""
    return msgspec.json.encode([{"a": float(i), "b": f"x{i % 3}"} for i in range(first, first + n)])


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
