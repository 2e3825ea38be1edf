"""Entries that no longer match their checksum: set aside, reported, and nothing else is concerned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from anomalyai.pipeline import Pipeline
from stream.database import Database
from stream.errors import LogDamaged
from stream.runtime import Runtime
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, outcome, rewind, running


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a feed of eight frames, the first one of 500 records; nothing may change it."""
    data = tmp_path_factory.mktemp("damage") / "data"
    with running(data, ManualClock()) as runtime:
        post_all(runtime)
        drain(runtime)
    return data


def post_all(runtime: Runtime) -> None:
    for first, n in [(0, 500), *((500 + 50 * i, 50) for i in range(7))]:
        assert runtime.post("f", frame(first, n), None).accepted == n


def copied(sound: Path, tmp_path: Path, *, snapshots: bool) -> Path:
    data = tmp_path / "data"
    shutil.copytree(sound, data)
    if not snapshots:
        shutil.rmtree(data / "snapshots")
    return data


def flip(data: Path, where: str) -> list[int]:
    """Flip a bit in the bodies of the entries that fit; returns their numbers."""
    database = Database(data)
    with database.writer.begin() as connection:
        rows = connection.exec_driver_sql(f"SELECT entry, body FROM entry WHERE {where}").all()
        for entry, body in rows:
            spoilt = bytes([body[0]]) + bytes([body[1] ^ 1]) + body[2:]
            connection.exec_driver_sql("UPDATE entry SET body = ? WHERE entry = ?", (spoilt, entry))
    database.close()
    assert rows
    return [entry for entry, _ in rows]


def test_damaged_records_are_left_out_counted_and_told(sound: Path, tmp_path: Path) -> None:
    data = copied(sound, tmp_path, snapshots=False)
    whole = outcome(data)
    rewind(data, 0)
    entries = flip(data, "first_seq IN (551, 651)")
    with running(data, ManualClock()) as runtime:
        feed = runtime.feed("f")
        assert feed["dead_letters"] == 2
        assert [found["entry"] for found in feed["set_aside"]] == entries
        assert "records 551 to 600 cannot be read" in feed["set_aside"][0]["error"]
        assert (feed["first_seq"], feed["last_seq"], feed["lost"]) == (1, 850, 0)
        with pytest.raises(LogDamaged, match="records 551 to 600 cannot be read"):
            runtime.event("f", 575)
        assert runtime.event("f", 601)["score"] is not None
        assert runtime.post("f", frame(850, 10), None).first_seq == 851
        drain(runtime)
    found = outcome(data)
    assert found.dead_letters == entries
    assert found.position[1] == 860
    assert set(whole.scores) - set(found.scores) == set(entries)


def test_damage_that_a_rebuild_comes_upon_does_not_stop_the_engine(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the pipeline fail at a record, so that the feed is begun again over an entry that is damaged."""
    data = copied(sound, tmp_path, snapshots=True)
    real = Pipeline.process

    def process(pipeline: Pipeline, batch: Any, origins: Any) -> Any:
        if batch.first_seq == 901:
            raise ZeroDivisionError("cannot judge record 901")
        return real(pipeline, batch, origins)

    monkeypatch.setattr(Pipeline, "process", process)
    with running(data, ManualClock()) as runtime:
        runtime.post("f", frame(850, 50), None)
        drain(runtime)
        for path in (data / "snapshots").glob("*/*.snap"):
            path.unlink()
        entries = flip(data, "first_seq IN (601, 851)")
        runtime.post("f", frame(900, 50), None)
        runtime.post("f", frame(950, 50), None)
        drain(runtime)
        assert runtime.feed("f")["dead_letters"] == 3
        assert runtime.ready
    assert set(outcome(data).dead_letters) > set(entries)


def test_a_feed_whose_newest_schema_is_damaged_goes_on_under_the_one_before(
    sound: Path, tmp_path: Path
) -> None:
    data = copied(sound, tmp_path, snapshots=True)
    [entry] = flip(data, "entry = (SELECT max(entry) FROM entry WHERE kind = 'schema')")
    with running(data, ManualClock()) as runtime:
        assert f"entry {entry} of the log, is damaged" in runtime.feed("f")["notes"][0]
        runtime.post("f", frame(850, 50), None)
        drain(runtime)
        live = runtime.event("f", 875)
        assert live["score"] is not None
    found = outcome(data)
    assert [kind for _, kind, *_ in found.entries][-2:] == ["schema", "records"], "it is written down anew"
    with running(data, ManualClock()) as runtime:
        assert runtime.feed("f")["notes"] == []
        assert runtime.event("f", 875)["score"] == live["score"]
    rewind(data, 0)
    with running(data, ManualClock()) as runtime:
        drain(runtime)
        assert runtime.feed("f")["set_aside"][0]["entry"] == entry
        assert runtime.post("f", frame(900, 5), None).first_seq == 901
        drain(runtime)
    assert outcome(data).position[1] == 905
