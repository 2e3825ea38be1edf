"""Snapshots: whole or not at all, and passed over when they are not to be trusted."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import numpy as np
import pytest

from anomalyai.frozen import Section
from anomalyai.table_copy import Rows
from stream.snapshot import FORMAT, KEPT, Snapshot, Snapshots


def rows(*slots: int, tick: int) -> Rows:
    """Return a table's rows at some slots, all touched at a tick."""
    places = np.array(slots, dtype=np.int64)
    return Rows(
        places,
        places.astype(np.uint64) + 1,
        np.full(len(slots), tick),
        np.full(len(slots), 0.5 * tick),
        np.full((len(slots), 3), tick, dtype=np.float32),
    )


def snapshot_of(entry: int, *slots: int, since: int = 0) -> Snapshot:
    return Snapshot(
        entry, entry * 10, b"state\nof %d" % entry, {"pair0": Section(since, rows(*slots, tick=entry))}
    )


def saved(tmp_path: Path, *entries: int) -> Snapshots:
    snapshots = Snapshots(tmp_path, "log-a")
    for entry in entries:
        snapshots.save("f", snapshot_of(entry, 1, 4))
    return snapshots


def names(tmp_path: Path) -> list[int]:
    return sorted(int(path.stem) for path in (tmp_path / "f").iterdir())


def equal(found: Snapshot, wanted: Snapshot) -> bool:
    return (found.entry, found.seq, found.document) == (wanted.entry, wanted.seq, wanted.document) and [
        (name, section.since, [column.tobytes() for column in section.rows])
        for name, section in found.sections.items()
    ] == [
        (name, section.since, [column.tobytes() for column in section.rows])
        for name, section in wanted.sections.items()
    ]


def test_the_newest_comes_first_and_only_the_last_two_stay(tmp_path: Path) -> None:
    snapshots = saved(tmp_path, 3, 20, 100)
    assert KEPT == 2
    newest, before = snapshots.usable("f", upto=100)
    assert equal(newest, snapshot_of(100, 1, 4))
    assert equal(before, snapshot_of(20, 1, 4))
    assert [s.entry for s in snapshots.usable("f", upto=99)] == [20]
    assert list(snapshots.usable("g", upto=100)) == []
    assert names(tmp_path) == [20, 100]


def chained(tmp_path: Path) -> Snapshots:
    """Return a whole snapshot at 10 and three increments on top, at 20, 30 and 40."""
    snapshots = Snapshots(tmp_path, "log-a")
    snapshots.save("f", snapshot_of(10, 1, 4, 9))
    for entry, slots in ((20, (4,)), (30, (2, 9)), (40, (4, 11))):
        snapshots.save("f", snapshot_of(entry, *slots, since=1), base=entry - 10)
    return snapshots


def test_an_increment_goes_on_top_of_what_it_stands_on_which_stays(tmp_path: Path) -> None:
    snapshots = chained(tmp_path)
    assert names(tmp_path) == [10, 20, 30, 40]
    newest, *others = snapshots.usable("f", upto=40)
    assert [s.entry for s in others] == [30, 20, 10]
    section = newest.sections["pair0"]
    assert (section.since, section.rows.rows.tolist()) == (0, [1, 2, 4, 9, 11])
    assert section.rows.touched.tolist() == [10, 30, 40, 30, 40]
    assert section.rows.stats[:, 2].tolist() == [10.0, 30.0, 40.0, 30.0, 40.0]
    snapshots.save("f", snapshot_of(50, 1))
    assert names(tmp_path) == [10, 20, 30, 40, 50]
    snapshots.save("f", snapshot_of(60, 1))
    assert names(tmp_path) == [50, 60]


def test_an_increment_on_a_damaged_snapshot_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots = chained(tmp_path)
    damage(tmp_path / "f" / f"{20:020d}.snap")
    with caplog.at_level(logging.WARNING):
        assert [s.entry for s in snapshots.usable("f", upto=40)] == [10]
    assert "it stands on the snapshot of entry 20: its" in caplog.text


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def renew(path: Path) -> None:
    line, _, state = path.read_bytes().partition(b"\n")
    header = msgspec.json.decode(line)
    header["format"] = FORMAT + 1
    path.write_bytes(msgspec.json.encode(header) + b"\n" + state)


@pytest.mark.parametrize(
    ("harm", "told"),
    [(damage, "checksum"), (truncate, "checksum"), (empty, "cannot be read"), (renew, "has format")],
)
def test_a_bad_snapshot_is_passed_over_for_the_one_before(
    tmp_path: Path, harm: object, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots = saved(tmp_path, 5, 9)
    assert callable(harm)
    harm(tmp_path / "f" / f"{9:020d}.snap")
    with caplog.at_level(logging.WARNING):
        assert [s.entry for s in snapshots.usable("f", upto=9)] == [5]
    assert told in caplog.text


def test_a_snapshot_of_another_log_or_feed_is_not_taken(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    assert list(Snapshots(tmp_path, "log-b").usable("f", upto=5)) == []
    (tmp_path / "f").rename(tmp_path / "g")
    assert list(Snapshots(tmp_path, "log-a").usable("g", upto=5)) == []


def test_what_lies_after_the_logs_end_and_half_written_files_are_removed(tmp_path: Path) -> None:
    snapshots = saved(tmp_path, 5, 9)
    (tmp_path / "f" / f"{12:020d}.tmp").write_bytes(b"half")
    snapshots.drop_after("f", 7)
    assert names(tmp_path) == [5]
