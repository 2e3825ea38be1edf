"""Upkeep of the log: old bodies are packed, the oldest are dropped, never what recovery needs."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.database import Database
from stream.errors import RecordGone
from stream.packing import PACKED, is_sound, pack, unpack
from stream.runtime import Runtime
from stream.settings import Log, Settings
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, log_column, outcome, rewind, running, wait_until

FRAMES = [(0, 600), *((600 + 20 * i, 20) for i in range(20))]
HALF, LAST = 600 + 200, 1000
DAY_S = 86_400.0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a feed with two snapshots, at 800 and at 1000 records, half a day apart; nothing may change it."""
    data = tmp_path_factory.mktemp("retention") / "data"
    clock = ManualClock()
    for first, last in ((0, HALF), (HALF, LAST)):
        with running(data, clock) as runtime:
            for start, n in FRAMES:
                if first <= start < last:
                    runtime.post("f", frame(start, n), None)
            drain(runtime)
        clock.advance(DAY_S / 2)
    return data


@pytest.fixture
def data(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("stream.upkeep.REST_S", 0.05)
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


@contextmanager
def keeping(
    data: Path, days_later: float = 0.0, clock: ManualClock | None = None, **limits: Any
) -> Iterator[Runtime]:
    """Run a runtime that keeps its log within limits."""
    clock = clock or ManualClock()
    clock.advance(DAY_S + days_later * DAY_S)
    settings = Settings(data=str(data), log=msgspec.structs.replace(Log(), **limits))
    runtime = Runtime.open(settings, clock)
    try:
        runtime.start()
        yield runtime
    finally:
        runtime.stop(60.0)


@pytest.mark.parametrize(("days_later", "limits"), [(2, {"max_age_days": 1.5}), (0, {"max_size_bytes": 1})])
def test_what_is_past_its_time_is_dropped_but_nothing_that_recovery_needs(
    data: Path, days_later: float, limits: dict[str, Any]
) -> None:
    before = outcome(data)
    with keeping(data, days_later, **limits) as runtime:
        wait_until(lambda: bool(runtime.feed("f")["first_seq"] == HALF + 1), "the oldest snapshot's record")
        assert runtime.feed("f")["dropped"] == HALF
        assert runtime.feed("f")["last_seq"] == LAST
        for seq in (1, HALF):
            with pytest.raises(RecordGone, match=f"no longer kept, the oldest is {HALF + 1}"):
                runtime.event("f", seq)
        assert runtime.event("f", HALF + 1)["score"] is not None
        assert runtime.post("f", frame(LAST, 20), None).first_seq == LAST + 1
        drain(runtime)
    found = outcome(data)
    assert {entry for entry, kind, *_ in found.entries if kind == "schema"} == {
        entry for entry, kind, *_ in before.entries if kind == "schema"
    }
    kept = [first for _, kind, first, *_ in found.entries if kind == "records"]
    assert kept[0] in (HALF + 1, LAST + 1), "the last snapshot may have let more go"
    assert set(before.alerts) <= set(found.alerts)
    assert min(found.scores) > min(before.scores)
    newest = max((data / "snapshots" / "f").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    with running(data, ManualClock()) as runtime:
        assert runtime.feed("f")["notes"] == [], (
            "the snapshot before is good, and the log still has what follows"
        )
        assert runtime.event("f", LAST + 20)["score"] is not None


def test_a_writer_that_never_rests_drops_in_between(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.upkeep.REST_S", 1000.0)
    clock = ManualClock()
    with keeping(data, clock=clock, max_size_bytes=1) as runtime:
        for start in range(LAST, LAST + 100, 20):
            clock.advance(1.0)
            runtime.post("f", frame(start, 20), None)
        wait_until(lambda: bool(runtime.feed("f")["first_seq"] == HALF + 1), "retention")
        drain(runtime)
    assert outcome(data).position[1] == LAST + 100


def test_young_and_small_logs_are_left_alone(data: Path) -> None:
    before = outcome(data)
    with keeping(data, days_later=2, max_age_days=30.0, max_size_bytes=1 << 30) as runtime:
        wait_until(lambda: any(codec.endswith(PACKED) for codec in log_column(data, "codec")), "upkeep")
        assert runtime.feed("f")["dropped"] == 0
    assert outcome(data).entries == before.entries


def test_a_feed_whose_beginning_and_snapshots_are_gone_begins_anew_and_says_so(data: Path) -> None:
    with keeping(data, max_size_bytes=1) as runtime:
        wait_until(lambda: bool(runtime.feed("f")["dropped"] == HALF), "retention")
    for path in (data / "snapshots").glob("*/*"):
        path.write_bytes(b"spoilt")
    alerts = outcome(data).alerts
    with running(data, ManualClock()) as runtime:
        [note] = runtime.feed("f")["notes"]
        assert f"began anew with record {HALF + 1}" in note
        assert runtime.ready
        assert runtime.post("f", frame(LAST, 20), None).first_seq == LAST + 1
        drain(runtime)
        assert runtime.event("f", LAST + 1)["score"] is not None
    assert set(alerts) <= set(outcome(data).alerts)


def test_packed_bodies_are_read_as_they_were(data: Path) -> None:
    before = outcome(data)
    with keeping(data) as runtime:
        event = runtime.event("f", 700)
        wait_until(
            lambda: sum(codec.endswith(PACKED) for codec in log_column(data, "codec")) >= len(FRAMES),
            "packing",
        )
        assert runtime.event("f", 700)["record"] == event["record"]
    assert outcome(data) == before
    rewind(data, 0)
    with running(data, ManualClock()) as runtime:
        drain(runtime)
    assert outcome(data).alerts == before.alerts
    assert outcome(data).scores == before.scores
    database = Database(data)
    with database.writer.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE entry SET body = substr(body, 1, 60) || x'00' || substr(body, 62) WHERE first_seq = 601"
        )
    database.close()
    rewind(data, 0)
    with running(data, ManualClock()) as runtime:
        drain(runtime)
        assert "checksum" in runtime.feed("f")["set_aside"][0]["error"]


def test_what_is_not_worth_it_or_not_sound_is_not_packed() -> None:
    body = b'[{"a": 1}]' * 100
    packed = pack("rows", zlib.crc32(body), body)
    assert packed is not None
    assert packed[0] == "rows" + PACKED
    assert len(packed[1]) < len(body) / 5
    assert unpack(*packed) == ("rows", body)
    assert is_sound(packed[0], zlib.crc32(body), packed[1])
    assert pack(packed[0], zlib.crc32(body), packed[1]) is None
    assert pack("rows", zlib.crc32(body) ^ 1, body) is None
    assert pack("rows", zlib.crc32(body[:100]), body[:100]) is None
    noise = os.urandom(2000)
    assert pack("rows", zlib.crc32(noise), noise) is None
    assert not is_sound("rows" + PACKED, 1, b"no zlib stream")
