"""Files on their way in: unpacked, bounded, refused where the disk is full, gone if nobody takes them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from anomalyai.errors import TooLarge, UnreadableBody
from stream.errors import DiskFull
from stream.training.reception import HEAD_BYTES, SPARE_BYTES, Reception

DATA = os.urandom(100_000)


@pytest.mark.parametrize("step", [1, 7, 4_096, 1 << 20])
@pytest.mark.parametrize(
    "body", [DATA, gzip.compress(DATA), gzip.compress(DATA[:9]) + gzip.compress(DATA[9:])]
)
def test_a_file_comes_in_whole_however_it_is_cut_and_packed(tmp_path: Path, body: bytes, step: int) -> None:
    with Reception(tmp_path / "new", len(DATA)) as reception:
        for start in range(0, len(body), step):
            reception.write(body[start : start + step])
        reception.finish()
        assert reception.path.read_bytes() == DATA
        assert reception.size_bytes == len(DATA)
        assert reception.head == DATA[:HEAD_BYTES]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_that_was_taken_stays(tmp_path: Path) -> None:
    with Reception(tmp_path, 10) as reception:
        reception.write(b"a")
        reception.finish()
        reception.path.replace(tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"a"


def test_a_small_file_that_unpacks_to_a_large_one_stops_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    with Reception(tmp_path, 1_000_000) as reception:
        with pytest.raises(TooLarge, match="at most 1000000 bytes, unpacked"):
            reception.write(bomb)
        assert reception.path.stat().st_size <= 1_000_000


def test_broken_gzip_and_a_full_disk_are_refused(tmp_path: Path) -> None:
    packed = gzip.compress(DATA)
    with Reception(tmp_path, len(DATA)) as reception, pytest.raises(UnreadableBody, match="not gzip"):
        reception.write(packed[:500] + b"\xff" * 500 + packed[500:])
    with Reception(tmp_path, len(DATA)) as reception:
        reception.write(packed[:500])
        with pytest.raises(UnreadableBody, match="cut short"):
            reception.finish()
    with Reception(tmp_path, len(DATA), spare_bytes=1 << 60) as reception:
        with pytest.raises(DiskFull, match="kept for the log"):
            reception.write(DATA)
        with pytest.raises(DiskFull):
            reception.require_room(1)
    assert SPARE_BYTES < 1 << 30
    assert list(tmp_path.iterdir()) == []
