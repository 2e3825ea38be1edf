"""The writer when the disk fails: what waits fails with the cause, and a broken file is not written again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stream import tables
from stream.errors import LogFailure, NotReady
from stream.results import Statement
from stream.testing import ManualClock
from stream.transaction import Statements, Transaction
from stream.writer import Writer
from tests.stream.conftest import RunningLog
from tests.stream.feeding import drain, frame, outcome, running, wait_until


def insert(feed: str) -> Statement:
    def run(transaction: Transaction) -> None:
        transaction.add(sa.insert(tables.position), {"feed": feed, "entry": 1, "seq": 1})

    return Statement(run)


def test_a_bad_unit_fails_alone_in_its_group(waiting_log: RunningLog) -> None:
    units = [insert("a"), insert("a"), insert("b")]
    for unit in units:
        waiting_log.writer.submit(unit)
    waiting_log.start()
    units[0].finished.result(timeout=60)
    with pytest.raises(LogFailure, match="UNIQUE"):
        units[1].finished.result(timeout=60)
    units[2].finished.result(timeout=60)
    assert waiting_log.writer.cause is None
    assert waiting_log.writer.units == 2


def test_a_file_that_cannot_be_written_is_not_tried_again_until_a_restart(waiting_log: RunningLog) -> None:
    connections: list[Any] = []

    def forbid(raw: Any, record: object) -> None:
        connections.append(raw)
        raw.execute("PRAGMA query_only=ON")

    sa.event.listen(waiting_log.database.writer, "connect", forbid)
    first, second = insert("a"), insert("b")
    waiting_log.writer.submit(first)
    waiting_log.writer.submit(second)
    waiting_log.start()
    for unit in (first, second):
        with pytest.raises(LogFailure, match="readonly"):
            unit.finished.result(timeout=60)
    assert "readonly" in str(waiting_log.writer.cause)
    connections[-1].execute("PRAGMA query_only=OFF")
    third = insert("c")
    waiting_log.writer.submit(third)
    with pytest.raises(LogFailure, match="readonly"):
        third.finished.result(timeout=60)
    assert waiting_log.writer.commits == 0


def test_a_full_disk_that_has_room_again_is_noticed_without_an_append(
    waiting_log: RunningLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.writer.PROBE_S", 0.05)
    waiting_log.fill_disk()
    unit = Statement(
        lambda transaction: transaction.add(
            sa.insert(tables.identity), *({"id": f"{i:0200d}"} for i in range(1000))
        )
    )
    waiting_log.writer.submit(unit)
    waiting_log.start()
    with pytest.raises(LogFailure, match="disk is full"):
        unit.finished.result(timeout=60)
    wait_until(lambda: waiting_log.writer.cause is None, "a page that fits")


def test_results_that_do_not_fit_on_the_disk_are_committed_when_there_is_room_again(tmp_path: Path) -> None:
    """Let the disk be full between an append and the commit of its results, by SQLite's own page limit."""
    with running(tmp_path / "data", ManualClock()) as runtime:
        release, entered = threading.Event(), threading.Event()

        def hold(lane: object) -> None:
            entered.set()
            release.wait(60.0)

        def narrow(transaction: Transaction) -> None:
            connection = transaction._connection
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one()

        held = runtime._engine.ask("f", hold)
        assert entered.wait(60.0)
        assert runtime.post("f", frame(0, 5000), None).last_seq == 5000
        submit_and_wait(runtime._writer, narrow)
        release.set()
        held.result(timeout=60)
        wait_until(lambda: any("disk is full" in cause for cause in runtime.causes()), "the cause")
        assert runtime.feed("f")["lag"]["records"] == 5000
        with pytest.raises(NotReady, match="disk is full"):
            runtime.post("f", frame(5000, 1), None)
        submit_and_wait(
            runtime._writer, lambda transaction: transaction.execute(sa.text("PRAGMA max_page_count=1000000"))
        )
        wait_until(lambda: runtime.ready, "readiness")
        drain(runtime)
        assert runtime.post("f", frame(5000, 5), None).first_seq == 5001
    assert outcome(tmp_path / "data").position[1] == 5005


def submit_and_wait(writer: Writer, run: Statements) -> None:
    statement = Statement(run)
    writer.submit(statement)
    statement.finished.result(timeout=60)
