"""Runtimes and records for the tests of the engine: what comes in, and everything that came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from anomalyai.control import SchemaChange
from anomalyai.model_store import ModelStore
from anomalyai.schema import FeedSchema
from stream import tables
from stream.clock import Clock
from stream.database import Database
from stream.log import LogReader
from stream.models import Models
from stream.packing import unpack
from stream.prediction import Source
from stream.runtime import Runtime
from stream.settings import Engine, Settings
from stream.shard import Shard
from stream.snapshot import Snapshots
from stream.store import Store

PATIENCE_S = 90.0


def settings(data: Path, **engine: Any) -> Settings:
    """Return settings for a data directory, with changes to the engine's."""
    return Settings(data=str(data), engine=msgspec.structs.replace(Engine(), **engine))


@contextmanager
def running(data: Path, clock: Clock | None = None, **engine: Any) -> Iterator[Runtime]:
    """Run a runtime; it is stopped in order at the end."""
    runtime = Runtime.open(settings(data, **engine), clock)
    try:
        runtime.start()
        assert runtime.ready
        yield runtime
    finally:
        runtime.stop(60.0)


def records(first: int, n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return n records of a small payment feed, each a function of its number alone; every 97th is odd."""
    rng = np.random.default_rng([seed, first])
    made = []
    for i in range(first, first + n):
        amount = 4_000.0 + i if i % 97 == 96 else float(rng.normal(50.0, 5.0))
        made.append(
            {
                "ts": 1_700_000_000.0 + 0.5 * i,
                "customer": f"c{int(rng.integers(20))}",
                "country": ("DE", "FR", "US")[int(rng.integers(3))],
                "amount": round(amount, 2),
                "score": float(rng.normal()),
            }
        )
    return made


def frame(first: int, n: int, batch: int | None = None) -> bytes:
    """Return records as a body, or as a frame with a batch number."""
    body = msgspec.json.encode(records(first, n))
    return body if batch is None else b'{"batch":%d,"records":%b}' % (batch, body)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds, at most `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.01)


def drain(runtime: Runtime) -> None:
    """Wait until everything admitted is scored and committed."""
    wait_until(lambda: all(feed["lag"]["records"] == 0 for feed in runtime.feeds()), "the engine")


def predicted(runtime: Runtime, feed: str, body: bytes, media: str | None = None) -> dict[str, Any]:
    """Return what a body would score, all parts together."""
    forecast = runtime.predictions.begin(feed, Source(body, media))
    parts = list(forecast.parts())
    return {
        "model": forecast.model,
        "predictions": [found for part in parts for found in part.predictions],
        "rejected": [found for part in parts for found in part.rejected],
    }


class Outcome(msgspec.Struct):
    """Everything that a stopped data directory holds of a feed, to be compared byte for byte."""

    entries: list[tuple[int, str, int | None, int, bytes]]
    alerts: dict[str, bytes]
    scores: dict[int, bytes]
    position: tuple[int, int]
    dead_letters: list[int]


def outcome(data: Path, feed: str = "f") -> Outcome:
    """Read a data directory that no runtime has."""
    database = Database(data)

    def rows(table: sa.Table, *names: str) -> list[Any]:
        columns = [table.c[name] for name in names]
        statement = sa.select(*columns).where(table.c.feed == feed).order_by(*columns[:1])
        with database.reader.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    entries = rows(tables.entry, "entry", "kind", "first_seq", "n", "codec", "body")
    found = Outcome(
        entries=[(*row[:4], unpack(row[4], row[5])[1]) for row in entries],
        alerts=dict(rows(tables.alert, "id", "body")),
        scores=dict(rows(tables.score, "entry", "body")),
        position=rows(tables.position, "entry", "seq")[0],
        dead_letters=[row[0] for row in rows(tables.dead_letter, "entry")],
    )
    database.close()
    return found


def stored_records(data: Path, feed: str = "f") -> list[dict[str, Any]]:
    """Read all records of a feed back from the log of a data directory that no runtime has."""
    database, schema, found = Database(data), FeedSchema(), list[dict[str, Any]]()
    for stored in LogReader(database).read(feed, after=0):
        item = stored.decode(schema)
        if isinstance(item.control, SchemaChange):
            schema = item.control.schema
        elif item.records is not None:
            assert item.first_seq == len(found) + 1, "a gap"
            found += [item.records.record(i) for i in range(item.n)]
    database.close()
    return found


def log_column(data: Path, name: str) -> list[Any]:
    """Return one column of the log of a data directory, in order."""
    database, column = Database(data), tables.entry.c
    with database.reader.connect() as connection:
        found = list(connection.execute(sa.select(column[name]).order_by(column.entry)).scalars())
    database.close()
    return found


def saved_state(data: Path, feed: str = "f") -> bytes:
    """Return the state of the newest snapshot of a data directory that no runtime has."""
    database = Database(data)
    snapshots = Snapshots(data / "snapshots", Store(database).identity())
    newest = next(snapshots.usable(feed, upto=Store(database).position(feed)[0]))
    database.close()
    return Shard.restored(feed, Models(ModelStore(data / "models")), newest).pipeline.dumps()


def rewind(data: Path, entry: int) -> None:
    """Take back what the engine committed after an entry, as if it had crashed there."""
    database = Database(data)
    with database.writer.begin() as connection:
        last = connection.execute(
            sa.select(sa.func.max(tables.entry.c.first_seq + tables.entry.c.n - 1)).where(
                tables.entry.c.entry <= entry
            )
        ).scalar_one()
        connection.execute(tables.alert.delete().where(tables.alert.c.seq > (last or 0)))
        connection.execute(tables.score.delete().where(tables.score.c.entry > entry))
        connection.execute(tables.position.delete())
        if entry:
            connection.execute(tables.position.insert(), {"feed": "f", "entry": entry, "seq": last or 0})
    database.close()
    for path in (data / "snapshots").glob("*/*.snap"):
        if int(path.stem) > entry:
            path.unlink()
