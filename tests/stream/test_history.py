"""Reading a feed's past: the part asked for, in log order, also from another process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anomalyai.control import SchemaChange, Verdict
from anomalyai.schema import FeedSchema
from stream.errors import StoreVersion, UnknownFeed
from stream.history import History, Span
from stream.runtime import Runtime
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, records, running

BATCH = 100
BATCHES = 8
HOUR_S = 3600.0

ELSEWHERE = """
import sys
from pathlib import Path
from stream.history import History
with History.open(Path(sys.argv[1])) as history:
    span = history.span("f", records=150)
    print(sum(item.n for item in history.read(span)), span.records, span.first_seq)
"""


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory, clock: ManualClock) -> Path:
    """Return a data directory with a batch an hour, a verdict in the middle, and nothing of other feeds."""
    data = tmp_path_factory.mktemp("history") / "data"
    with running(data, clock) as runtime:
        for i in range(BATCHES):
            runtime.post("f", frame(BATCH * i, BATCH), "application/json")
            runtime.post("other", frame(BATCH * i, 3), "application/json")
            if i == 5:
                judge(runtime, seq=97)
            clock.advance(HOUR_S)
        drain(runtime)
    return data


def judge(runtime: Runtime, seq: int) -> None:
    verdict = Verdict(seq, "real", records(seq - 1, 1)[0])
    runtime._feeds.get("f").control(verdict).result()


def seqs(history: History, span: Span) -> list[int]:
    found: list[int] = []
    for item in history.read(span):
        if item.records is not None:
            assert item.first_seq == item.records.first_seq
            found += range(item.records.first_seq, item.records.first_seq + item.n)
    return found


def test_a_whole_history_is_everything_in_order(fed: Path) -> None:
    with History.open(fed) as history:
        span = history.span("f")
        assert span.records == BATCH * BATCHES
        assert seqs(history, span) == list(range(1, BATCH * BATCHES + 1))
        assert history.passed_over == 0
        items = list(history.read(span))
        assert {item.feed for item in items} == {"f"}
        assert [item.entry for item in items] == sorted(item.entry for item in items)
        kinds = [type(item.payload).__name__ for item in items]
        assert kinds.count("Verdict") == 1
        assert kinds[0] == "SchemaChange", "the first is before the first records"
        settled = [item.control.schema.settled for item in items if isinstance(item.control, SchemaChange)]
        assert settled[-1]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 800, 10_000])
def test_so_many_records_are_the_newest_cut_in_the_middle_of_an_entry(fed: Path, count: int) -> None:
    with History.open(fed) as history:
        span = history.span("f", records=count)
        wanted = list(range(max(1, BATCH * BATCHES - count + 1), BATCH * BATCHES + 1))
        assert seqs(history, span) == wanted
        assert span.records == len(wanted)
        assert span.first_seq == wanted[0]
        first = next(history.read(span))
        assert isinstance(first.control, SchemaChange)
        assert first.control.schema == span.schema
        texts = [item.records.record(0)["amount"] for item in history.read(span) if item.records is not None]
        assert texts[0] == records(100 * ((wanted[0] - 1) // 100), 100)[(wanted[0] - 1) % 100]["amount"]


def test_a_time_cuts_by_when_records_came_in(fed: Path, clock: ManualClock) -> None:
    with History.open(fed) as history:
        span = history.span("f", since_s=clock.now_s() - 2.5 * HOUR_S)
        assert seqs(history, span) == list(range(BATCH * (BATCHES - 2) + 1, BATCH * BATCHES + 1))
        assert span.schema.settled
        both = history.span("f", since_s=clock.now_s() - 2.5 * HOUR_S, records=50)
        assert (both.records, both.first_seq) == (50, BATCH * BATCHES - 49)
        nothing = history.span("f", since_s=clock.now_s() + HOUR_S)
        assert nothing.records == 0
        assert seqs(history, nothing) == []


def test_a_history_ends_where_it_is_told_to(fed: Path) -> None:
    with History.open(fed) as history:
        items = list(history.read(history.span("f")))
        end = next(item.entry for item in items if item.records is not None and item.first_seq == 201)
        span = history.span("f", upto=end)
        assert (span.records, span.upto) == (3 * BATCH, end)
        assert seqs(history, span) == list(range(1, 3 * BATCH + 1))
        assert seqs(history, history.span("f", records=120, upto=end)) == list(range(181, 301))
        assert not history.span("f", records=1, upto=end).schema.settled
        assert history.schema("f").settled
        assert history.schema("nobody") == FeedSchema()


def test_entries_that_were_set_aside_or_are_damaged_are_passed_over(fed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, ManualClock()) as runtime:
        for i in range(3):
            runtime.post("f", frame(BATCH * i, BATCH), "application/json")
        drain(runtime)
        with runtime._database.writer.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql(
                "UPDATE entry SET body = x'00' WHERE feed = 'f' AND first_seq = ?", (BATCH + 1,)
            )
        with History.open(data) as history:
            span = history.span("f")
            assert seqs(history, span) == [*range(1, BATCH + 1), *range(2 * BATCH + 1, 3 * BATCH + 1)]
            assert history.passed_over == 1


def test_another_process_reads_while_the_server_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, ManualClock()) as runtime:
        for i in range(2):
            runtime.post("f", frame(BATCH * i, BATCH), "application/json")
        command = [sys.executable, "-c", ELSEWHERE, str(data)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert told.split() == ["150", "150", "51"]
        runtime.post("f", frame(2 * BATCH, BATCH), "application/json")
        drain(runtime)


def test_what_is_not_there_is_said(fed: Path, tmp_path: Path) -> None:
    with History.open(fed) as history, pytest.raises(UnknownFeed, match="nothing of a feed 'nobody'"):
        history.span("nobody")
    with pytest.raises(StoreVersion, match="no database"), History.open(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [], "looking must not make one"
