"""The log: order, group commit, checksums and what a failing append takes with it."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import Future
from typing import Any

import pytest
import sqlalchemy as sa

from anomalyai.control import BudgetChange, ControlEntry, SchemaChange
from anomalyai.records import RecordBatch
from stream import tables
from stream.errors import LogDamaged, LogFailure
from stream.log import Entry, LogReader, StoredEntry
from stream.transaction import Transaction
from tests.stream.conftest import RunningLog


def batch(first_seq: int, n: int, feed_value: float = 0.0) -> RecordBatch:
    records = [{"a": feed_value + i, "b": "x"} for i in range(first_seq, first_seq + n)]
    return RecordBatch.from_records(records).numbered(first_seq)


def append(log: RunningLog, first_seq: int, n: int = 3, feed: str = "f", epoch: int = 0) -> Future[list[int]]:
    return log.log.append(feed, epoch, [Entry.of(batch(first_seq, n))], arrival_s=10.0)


def test_what_was_appended_is_read_back_in_order_with_the_same_bits(running_log: RunningLog) -> None:
    schema = batch(1, 1).schema
    payloads: list[RecordBatch | ControlEntry] = [SchemaChange(schema), batch(1, 4), BudgetChange("20/day")]
    entries = running_log.log.append(
        "f", 0, [Entry.of(payload) for payload in payloads], arrival_s=12.25, producer="p", batch=7
    ).result(timeout=60)
    append(running_log, 1, feed="other").result(timeout=60)
    assert entries == sorted(entries)
    stored = list(running_log.reader.read("f", after=0))
    assert [row.entry for row in stored] == entries
    assert [row.kind for row in stored] == ["schema", "records", "budget"]
    items = [row.decode(schema) for row in stored]
    assert (items[0].control, items[2].control) == (payloads[0], payloads[2])
    assert items[0].records is None
    records = items[1].records
    assert records is not None
    assert items[1].control is None
    assert (records.first_seq, records.n, records.arrival_s) == (1, 4, 12.25)
    assert records.numbers.tobytes() == batch(1, 4).numbers.tobytes()
    assert records.record(2) == {"a": 3.0, "b": "x"}
    assert [(i.entry, i.n) for i in running_log.items if i.feed == "f"] == [(r.entry, r.n) for r in stored]
    with running_log.database.reader.connect() as connection:
        column = tables.entry.c
        kept = connection.execute(
            sa.select(column.producer, column.batch).where(column.entry == entries[1])
        ).one()
    assert tuple(kept) == ("p", 7)


def test_reading_pages_through_a_long_log_and_stops_where_told(running_log: RunningLog) -> None:
    waiting = [append(running_log, 1 + 3 * i) for i in range(150)]
    entries = [future.result(timeout=60)[0] for future in waiting]
    assert [row.entry for row in running_log.reader.read("f", after=0)] == entries
    assert [row.entry for row in running_log.reader.read("f", entries[9], entries[100])] == entries[10:101]
    assert list(running_log.reader.read("f", entries[-1])) == []


def test_reading_takes_large_entries_in_smaller_pages(
    running_log: RunningLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(7):
        append(running_log, 1 + 100 * i, n=100).result(timeout=60)
    size_bytes = len(next(running_log.reader.read("f", 0)).body)
    monkeypatch.setattr("stream.log.READ_BYTES", 2 * size_bytes)
    pages = 0
    read_page = LogReader._page

    def counted(self: LogReader, statement: sa.Select[Any]) -> list[StoredEntry]:
        nonlocal pages
        pages += 1
        return read_page(self, statement)

    monkeypatch.setattr(LogReader, "_page", counted)
    assert [row.first_seq for row in running_log.reader.read("f", 0)] == [1 + 100 * i for i in range(7)]
    assert pages == 5


def test_the_entry_of_a_record_and_the_ends_of_a_feed_are_found(running_log: RunningLog) -> None:
    reader = running_log.reader
    assert (reader.last_seq("f"), reader.last_entry("f"), reader.holding("f", 1)) == (0, 0, None)
    first, second = (
        append(running_log, 1, n=5).result(timeout=60),
        append(running_log, 6, n=2).result(timeout=60),
    )
    for seq, entry in ((1, first[0]), (5, first[0]), (6, second[0]), (7, second[0])):
        found = reader.holding("f", seq)
        assert found is not None
        assert found.entry == entry
    assert reader.holding("f", 8) is None
    assert reader.holding("g", 1) is None
    assert (reader.last_seq("f"), reader.last_entry("f")) == (7, second[0])


def test_the_newest_control_entry_up_to_an_entry_is_found(running_log: RunningLog) -> None:
    def control(budget: str) -> int:
        return running_log.log.append("f", 0, [Entry.of(BudgetChange(budget))], arrival_s=0.0).result(
            timeout=60
        )[0]

    assert running_log.reader.last_control("f", "budget") is None
    first, _, third = control("1/100"), append(running_log, 1).result(timeout=60), control("1/200")
    assert running_log.reader.last_control("f", "budget") == BudgetChange("1/200")
    assert running_log.reader.last_control("f", "budget", upto=third - 1) == BudgetChange("1/100")
    assert running_log.reader.last_control("f", "budget", upto=first - 1) is None
    assert running_log.reader.last_control("f", "schema") is None


def test_appends_that_wait_together_share_one_commit_and_keep_their_order(waiting_log: RunningLog) -> None:
    feeds = [f"feed{i % 5}" for i in range(40)]
    waiting = [append(waiting_log, 1 + 3 * (i // 5), feed=feed) for i, feed in enumerate(feeds)]
    waiting_log.start()
    entries = [future.result(timeout=60)[0] for future in waiting]
    assert entries == list(range(entries[0], entries[0] + 40))
    assert (waiting_log.writer.commits, waiting_log.writer.units) == (1, 40)
    assert [item.feed for item in waiting_log.items] == feeds


def test_concurrent_appenders_lose_and_double_nothing(running_log: RunningLog) -> None:
    def produce(feed: str) -> None:
        for i in range(50):
            append(running_log, 1 + 3 * i, feed=feed).result(timeout=60)

    threads = [threading.Thread(target=produce, args=(f"feed{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for i in range(8):
        rows = list(running_log.reader.read(f"feed{i}", after=0))
        assert [row.first_seq for row in rows] == [1 + 3 * k for k in range(50)]
    assert running_log.writer.units == 400
    assert running_log.writer.commits < 400


def test_a_changed_body_is_noticed(running_log: RunningLog) -> None:
    append(running_log, 1).result(timeout=60)
    running_log.stop()
    with running_log.database.writer.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '3.0', '9.0') AS BLOB)"
        )
    with pytest.raises(LogDamaged, match="checksum"):
        next(running_log.reader.read("f", after=0)).decode(batch(1, 1).schema)


def test_an_unknown_control_entry_is_named(running_log: RunningLog) -> None:
    entry = running_log.log.append("f", 0, [Entry.of(BudgetChange("1/100"))], arrival_s=0.0).result(
        timeout=60
    )[0]
    running_log.stop()
    body = b'{"type":"antigravity"}'
    with running_log.database.writer.begin() as connection:
        values = {"body": body, "crc": zlib.crc32(body), "kind": "antigravity"}
        connection.execute(tables.entry.update().values(**values))
    with pytest.raises(LogDamaged, match=f"entry {entry} .*antigravity"):
        running_log.reader.last_control("f", "antigravity")


def test_a_full_disk_fails_the_append_and_all_numbered_after_it_until_the_epoch_is_renewed(
    waiting_log: RunningLog,
) -> None:
    waiting_log.fill_disk()
    big = waiting_log.log.append("f", 0, [Entry.of(batch(1, 20_000))], arrival_s=0.0)
    small = append(waiting_log, 20_001)
    other = append(waiting_log, 1, n=1, feed="g")
    waiting_log.start()
    with pytest.raises(LogFailure, match="disk is full"):
        big.result(timeout=60)
    with pytest.raises(LogFailure, match="earlier append"):
        small.result(timeout=60)
    assert len(other.result(timeout=60)) == 1
    assert waiting_log.log.epoch("f") == 1
    assert waiting_log.log.epoch("g") == 0
    with pytest.raises(LogFailure, match="earlier append"):
        append(waiting_log, 1, epoch=0).result(timeout=60)
    assert waiting_log.log.epoch("f") == 1
    assert len(append(waiting_log, 1, n=1, epoch=1).result(timeout=60)) == 1
    assert waiting_log.writer.cause is None
    assert [row.first_seq for row in waiting_log.reader.read("f", after=0)] == [1]
    assert [item.feed for item in waiting_log.items] == ["g", "f"]


def test_extra_statements_are_in_the_same_transaction(running_log: RunningLog) -> None:
    def count(transaction: Transaction) -> None:
        transaction.execute(tables.position.insert().values(feed="f", entry=1, seq=1))

    running_log.log.append("f", 0, [Entry.of(batch(1, 1))], arrival_s=0.0, also=[count]).result(timeout=60)
    with pytest.raises(LogFailure, match="UNIQUE"):
        running_log.log.append("f", 0, [Entry.of(batch(2, 1))], arrival_s=0.0, also=[count]).result(
            timeout=60
        )
    assert running_log.writer.cause is not None
    assert "UNIQUE" in running_log.writer.cause
    assert running_log.reader.last_seq("f") == 1


def test_a_closed_writer_finishes_what_waits_and_refuses_the_rest(waiting_log: RunningLog) -> None:
    waiting = append(waiting_log, 1)
    waiting_log.writer.close()
    late = append(waiting_log, 4)
    with pytest.raises(LogFailure, match="closed"):
        late.result(timeout=60)
    waiting_log.start()
    assert len(waiting.result(timeout=60)) == 1


def test_a_writer_that_cannot_open_its_file_fails_what_waits(waiting_log: RunningLog) -> None:
    waiting = append(waiting_log, 1)
    waiting_log.database.path.unlink()
    waiting_log.database.path.mkdir()
    with pytest.raises(sa.exc.OperationalError):
        waiting_log.writer.run()
    with pytest.raises(LogFailure, match="writer has ended"):
        waiting.result(timeout=60)
