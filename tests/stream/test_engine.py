"""The engine: results are a function of the log, however it is interrupted; a bad entry does not stop it."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anomalyai.arrival import Origins
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch
from stream.database import Database
from stream.errors import NotReady
from stream.log import LogReader
from stream.runtime import Runtime
from stream.snapshot import Snapshot, Snapshots
from stream.testing import ManualClock
from tests.stream.feeding import (
    drain,
    frame,
    outcome,
    records,
    rewind,
    running,
    saved_state,
    settings,
    wait_until,
)

FRAMES = [(0, 1), (1, 19), (20, 80), (100, 1), (101, 399), (500, 250), (750, 3), (753, 400), (1153, 300)]


def post_all(runtime: Runtime, frames: list[tuple[int, int]]) -> None:
    for first, n in frames:
        ack = runtime.post("f", frame(first, n), "application/json")
        assert (ack.accepted, ack.first_seq) == (n, first + 1)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory of one uninterrupted run."""
    data = tmp_path_factory.mktemp("steady") / "data"
    with running(data, ManualClock()) as runtime:
        post_all(runtime, FRAMES)
    return data


def test_every_record_is_scored_once_and_flagged_ones_become_alerts(steady: Path) -> None:
    found = outcome(steady)
    record_entries = [entry for entry, kind, *_ in found.entries if kind == "records"]
    assert sorted(found.scores) == record_entries
    assert found.position == (found.entries[-1][0], 1453)
    assert len(found.alerts) >= 5
    assert found.dead_letters == []
    for alert_id, body in found.alerts.items():
        alert = msgspec.json.decode(body)
        assert alert_id == f"f-{alert['seq']}"
        first, n = next(one for one in FRAMES if one[0] < alert["seq"] <= sum(one))
        assert alert["record"] == records(first, n)[alert["seq"] - 1 - first]


def test_the_results_are_those_of_the_pipeline_alone(steady: Path) -> None:
    found = outcome(steady)
    _, scored = _replayed(steady)
    assert {alert.id: msgspec.json.encode(alert) for s in scored for alert in s.alerts} == found.alerts
    assert b"".join(s.score.tobytes() for s in scored) == b"".join(
        body[: 8 * n]
        for (entry, kind, _, n, _) in found.entries
        if kind == "records"
        for body in [found.scores[entry]]
    )


def _replayed(data: Path, left_out: int = 0) -> tuple[Pipeline, list[ScoredBatch]]:
    """Put a log through a pipeline by hand, without one entry."""
    database = Database(data)
    pipeline = Pipeline(feed="f")
    scored = []
    for stored in LogReader(database).read("f", after=0):
        if stored.entry == left_out:
            continue
        item = stored.decode(pipeline.schema)
        if isinstance(item.payload, RecordBatch):
            last_seq = item.payload.first_seq + item.n - 1
            scored.append(pipeline.process(item.payload, Origins.one(item.entry, last_seq, item.arrival_s)))
        else:
            pipeline.apply(item.payload)
    database.close()
    return pipeline, scored


@pytest.mark.parametrize("stops", [{0}, {2, 4, 5}, set(range(9))])
def test_stopping_and_starting_changes_nothing(steady: Path, tmp_path: Path, stops: set[int]) -> None:
    data = tmp_path / "data"
    part: list[tuple[int, int]] = []
    for i, one in enumerate(FRAMES):
        part.append(one)
        if i in stops or i == len(FRAMES) - 1:
            with running(data, ManualClock()) as runtime:
                post_all(runtime, part)
            part = []
    assert outcome(data) == outcome(steady)


@pytest.mark.parametrize("snapshots", ["kept", "damaged", "removed"])
@pytest.mark.parametrize("place", [0.0, 0.35, 0.8])
def test_a_replay_after_a_crash_gives_the_same_results_each_once(
    steady: Path, tmp_path: Path, place: float, snapshots: str
) -> None:
    data = tmp_path / "data"
    with running(data, ManualClock()) as runtime:
        post_all(runtime, FRAMES[:4])
    with running(data, ManualClock()) as runtime:
        post_all(runtime, FRAMES[4:])
    before = outcome(data)
    assert before == outcome(steady)
    rewind(data, before.entries[int(place * len(before.entries))][0])
    kept = list((data / "snapshots").glob("*/*.snap"))
    assert kept or place < 0.5
    if snapshots == "removed":
        shutil.rmtree(data / "snapshots")
    if snapshots == "damaged":
        for path in kept:
            path.write_bytes(path.read_bytes()[:-5])
    with running(data, ManualClock()) as runtime:
        assert [a.id for a in runtime.alerts("f", 0, 1000)[0]] == sorted(
            before.alerts, key=lambda alert_id: int(alert_id[2:])
        )
        assert runtime.feed("f")["alerts"] == len(before.alerts)
    assert outcome(data) == before


def test_a_replay_of_committed_entries_restores_the_line_and_publishes_no_alert_again(steady: Path) -> None:
    with running(steady, ManualClock()) as runtime:
        subscription = runtime.subscribe("f", None)
        messages = []
        while (message := subscription.next(0.0)) is not None:
            messages.append(msgspec.json.decode(message))
        kinds = [message["type"] for message in messages]
        assert kinds[:2] == ["caught_up", "points"]
        assert set(kinds) - {"stats"} == {"caught_up", "points"}
        points = [point for message in messages if message["type"] == "points" for point in message["points"]]
        assert points[-1][0] > 1450
        assert messages[0]["seq"] == 1453
        replayed = runtime.subscribe("f", 0)
        first = replayed.next(0.0)
        assert first is not None
        assert msgspec.json.decode(first)["type"] == "alert"


def send_singly(runtime: Runtime, first: int, n: int) -> None:
    """Send single-record frames without waiting for each, so that they queue up before the engine."""
    session = runtime.producer("f", None)
    begun = [session.begin(msgspec.json.encode(record)) for record in records(first, n)]
    assert [pending.message()["last_seq"] for pending in begun] == list(range(first + 1, first + n + 1))


def test_single_records_give_the_bits_that_the_pipeline_gives_however_they_are_joined(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, ManualClock()) as runtime:
        send_singly(runtime, 0, 700)
        post_all(runtime, [(700, 300)])
        send_singly(runtime, 1000, 400)
    found = outcome(data)
    _, scored = _replayed(data)
    alerts = {alert.id: msgspec.json.encode(alert) for s in scored for alert in s.alerts}
    assert found.alerts == alerts
    assert len(alerts) >= 5
    entries = [(entry, n) for entry, kind, _, n, _ in found.entries if kind == "records"]
    assert [found.scores[entry][: 8 * n] for entry, n in entries] == [s.score.tobytes() for s in scored]
    for place in (0.0, 0.5, 0.97):
        rewind(data, found.entries[int(place * len(found.entries))][0])
        with running(data, ManualClock()):
            pass
        assert outcome(data) == found


def test_of_joined_records_only_the_bad_one_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    broken, calls = Broken(at_seq=650), list[int]()

    def process(pipeline: Pipeline, batch: RecordBatch, origins: Origins) -> ScoredBatch:
        calls.append(batch.n)
        return broken(pipeline, batch, origins)

    monkeypatch.setattr(Pipeline, "process", process)
    with running(data, ManualClock()) as runtime:
        post_all(runtime, [(0, 600)])
        drain(runtime)
        release = threading.Event()
        held = runtime._engine.ask("f", lambda lane: release.wait(60.0))
        calls.clear()
        send_singly(runtime, 600, 100)
        release.set()
        held.result(timeout=60)
        drain(runtime)
        assert runtime.feed("f")["dead_letters"] == 1
        assert runtime.event("f", 650)["score"] is None
        assert runtime.event("f", 651)["score"] is not None
    assert calls[0] == 100, "they were not joined"
    monkeypatch.undo()
    found = outcome(data)
    pipeline, scored = _replayed(data, left_out=found.dead_letters[0])
    assert {alert.id for s in scored for alert in s.alerts} == set(found.alerts)
    assert saved_state(data) == pipeline.dumps()


class Broken:
    """A pipeline's process that fails at one record, after it has already changed its state."""

    def __init__(self, at_seq: int) -> None:
        self.at_seq = at_seq
        self.real = Pipeline.process

    def __call__(self, pipeline: Pipeline, batch: RecordBatch, origins: Origins) -> ScoredBatch:
        result = self.real(pipeline, batch, origins)
        if batch.first_seq <= self.at_seq < batch.first_seq + batch.n:
            raise ZeroDivisionError(f"cannot judge record {self.at_seq}")
        return result


def test_an_entry_that_fails_is_set_aside_and_leaves_no_trace_in_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    broken = Broken(at_seq=760)
    monkeypatch.setattr(Pipeline, "process", lambda self, batch, origins: broken(self, batch, origins))
    with caplog.at_level(logging.ERROR), running(data, ManualClock()) as runtime:
        post_all(runtime, FRAMES)
        drain(runtime)
        assert runtime.feed("f")["dead_letters"] == 1
        assert runtime.stats()["dead_letters"] == 1
        event = runtime.event("f", 760)
        assert event["score"] is None
        assert "ZeroDivisionError: cannot judge record 760" in event["why_not"]
        assert event["record"]["ts"] == 1_700_000_000.0 + 0.5 * 759
    found = outcome(data)
    assert len(found.dead_letters) == 1
    assert f"entry {found.dead_letters[0]} (400 records from 754 on)" in caplog.text
    monkeypatch.undo()
    for snapshots in ("kept", "removed"):
        if snapshots == "removed":
            rewind(data, 0)
        with running(data, ManualClock()) as runtime:
            drain(runtime)
        assert outcome(data) == found

    pipeline, _ = _replayed(data, left_out=found.dead_letters[0])
    assert saved_state(data) == pipeline.dumps()


def test_a_damaged_log_entry_is_set_aside_too(steady: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(steady, data)
    whole = outcome(data)
    entry = next(e for e, kind, first, *_ in whole.entries if kind == "records" and first == 754)
    rewind(data, entry - 1)
    shutil.rmtree(data / "snapshots")
    database = Database(data)
    with database.writer.begin() as connection:
        connection.exec_driver_sql(f"UPDATE entry SET crc = crc + 1 WHERE entry = {entry}")
    database.close()
    with running(data, ManualClock()) as runtime:
        assert runtime.feed("f")["dead_letters"] == 1
    found = outcome(data)
    assert found.dead_letters == [entry]
    assert entry not in found.scores
    assert found.position == whole.position


def test_an_engine_that_dies_says_so_and_nothing_more_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data") as runtime:
        post_all(runtime, FRAMES[:2])
        drain(runtime)

        def fail(*_: Any) -> None:
            raise MemoryError("none left")

        monkeypatch.setattr("stream.processor.Processor.launch", fail)
        ack = runtime.post("f", frame(20, 1), "application/json")
        assert ack.first_seq == 21
        wait_until(lambda: not runtime.ready, "the fault")
        assert runtime.causes() == ["the engine thread ended: MemoryError: none left"]
        with pytest.raises(NotReady, match="none left"):
            runtime.post("f", frame(21, 1), "application/json")
        monkeypatch.undo()
    with running(tmp_path / "data") as runtime:
        assert runtime.feed("f")["last_seq"] == 21
        assert runtime.feed("f")["lag"]["records"] == 0


def test_snapshots_are_saved_while_running_when_they_are_due(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, snapshot_every_records=100, snapshot_every_s=3600.0) as runtime:
        post_all(runtime, FRAMES[:4])
        wait_until(lambda: any((data / "snapshots").glob("f/*.snap")), "a snapshot")
        path = min((data / "snapshots" / "f").iterdir())
    assert int(path.stem) <= outcome(data).position[0]


def test_a_snapshot_never_runs_ahead_of_the_committed_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = Snapshots.save, list[tuple[int, int]]()

    def spy(self: Snapshots, feed: str, snapshot: Snapshot, base: int | None = None) -> Path:
        saved.append((snapshot.entry, runtime._store.position(feed)[0]))
        return save(self, feed, snapshot, base)

    monkeypatch.setattr(Snapshots, "save", spy)
    monkeypatch.setattr("stream.engine.SECOND_S", 0.0)
    with running(tmp_path / "data", snapshot_every_records=1) as runtime:
        for first in range(0, 300, 10):
            runtime.post("f", frame(first, 10), None)
    assert len(saved) >= 3
    assert all(entry <= committed for entry, committed in saved)


def test_stopping_before_starting_and_stopping_twice_are_harmless(tmp_path: Path) -> None:
    runtime = Runtime.open(settings(tmp_path / "data"))
    assert runtime.causes() == ["the runtime is not started"]
    runtime.stop(1.0)
    runtime.stop(1.0)
    with running(tmp_path / "data") as again:
        assert again.feeds() == []
