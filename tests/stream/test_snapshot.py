"""Snapshots: whole or not at all, and passed over when they are not to be trusted."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from stream.snapshot import FORMAT, KEPT, Snapshot, Snapshots


def saved(tmp_path: Path, *entries: int) -> Snapshots:
    snapshots = Snapshots(tmp_path, "log-a")
    for entry in entries:
        snapshots.save("f", Snapshot(entry, entry * 10, b"state\nof %d" % entry))
    return snapshots


def test_the_newest_comes_first_and_only_the_last_two_stay(tmp_path: Path) -> None:
    snapshots = saved(tmp_path, 3, 20, 100)
    assert KEPT == 2
    assert list(snapshots.usable("f", upto=100)) == [
        Snapshot(100, 1000, b"state\nof 100"),
        Snapshot(20, 200, b"state\nof 20"),
    ]
    assert [s.entry for s in snapshots.usable("f", upto=99)] == [20]
    assert list(snapshots.usable("g", upto=100)) == []
    assert [path.name for path in sorted((tmp_path / "f").iterdir())] == [
        f"{entry:020d}.snap" for entry in (20, 100)
    ]


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
    assert [path.name for path in (tmp_path / "f").iterdir()] == [f"{5:020d}.snap"]
