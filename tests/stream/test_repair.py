"""Repair: what a malformed file still holds is saved, what it does not is counted, and the feed goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.database import FILE_NAME, PAGE_BYTES, PENDING_NAME, Database
from stream.errors import DatabaseDamaged, DataDirectoryInUse, RecordGone
from stream.lock import DataDirectoryLock
from stream.repair import FOLDER, Report, repair
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, outcome, running
from web.cli import cli

FRAMES = [(0, 600), *((600 + 20 * i, 20) for i in range(60))]
LAST = 1800


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a feed whose log fills many pages, with a producer; nothing may change it."""
    data = tmp_path_factory.mktemp("repair") / "data"
    with running(data, ManualClock()) as runtime:
        for batch, (first, n) in enumerate(FRAMES, 1):
            runtime.post("f", frame(first, n), None, producer="p", batch=batch)
        drain(runtime)
    database = Database(data)
    database.checkpoint()
    database.close()
    return data


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def leaves(data: Path, table: str) -> list[int]:
    """Return the pages that hold a table's rows, in their order."""
    database = Database(data)
    with database.reader.connect() as connection:
        statement = f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"
        root = connection.exec_driver_sql(statement).scalar_one()
    database.close()
    return below((data / FILE_NAME).read_bytes(), root)


def below(file: bytes, page: int) -> list[int]:
    """Return the leaf pages under a page of a table's tree."""
    body = file[(page - 1) * PAGE_BYTES : page * PAGE_BYTES]
    if body[0] == 0x0D:
        return [page]
    assert body[0] == 0x05
    cells = int.from_bytes(body[3:5], "big")
    places = [int.from_bytes(body[12 + 2 * i : 14 + 2 * i], "big") for i in range(cells)]
    children = [int.from_bytes(body[place : place + 4], "big") for place in places]
    return [leaf for child in [*children, int.from_bytes(body[8:12], "big")] for leaf in below(file, child)]


def spoil(data: Path, *pages: int) -> None:
    with (data / FILE_NAME).open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(b"\xa5" * PAGE_BYTES)


def lost_rows(report: Report, table: str) -> int | None:
    return next(found.lost for found in report.tables if found.table == table)


def test_a_sound_file_comes_through_whole(data: Path) -> None:
    before = outcome(data)
    report = repair(data)
    assert all(table.lost == 0 for table in report.tables)
    assert [(feed.feed, feed.kept, feed.lost) for feed in report.feeds] == [("f", LAST, 0)]
    assert report.old.name == "anomalyai.db.damaged-1"
    assert report.old.is_file()
    assert outcome(data) == before
    assert not (data / FOLDER).exists()
    with running(data, ManualClock()) as runtime:
        assert runtime.post("f", frame(1780, 20), None, producer="p", batch=61).last_seq == LAST
        assert runtime.post("f", frame(LAST, 20), None, producer="p", batch=62).first_seq == LAST + 1


def test_malformed_pages_cost_what_they_held_and_the_feed_goes_on(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = outcome(data)
    pages = leaves(data, "entry")
    assert len(pages) > 10
    spoil(data, pages[4], pages[6], pages[-1], leaves(data, "score")[-1], *leaves(data, "position"))
    with pytest.raises(DatabaseDamaged, match="malformed") as caught, running(data, ManualClock()):
        pass
    assert "anomalyai repair" in str(caught.value.hint)
    report = repair(data)
    [feed] = report.feeds
    assert len(feed.holes) == 3
    assert feed.kept + feed.lost == LAST
    assert feed.holes[-1][1] == LAST, "answers that were given tell of the end of the log"
    kept = {entry for entry, *_ in outcome(data).entries}
    assert lost_rows(report, "entry") == len(before.entries) - len(kept) > 0
    assert lost_rows(report, "position") is None
    first, last = feed.holes[0]
    with running(data, ManualClock()) as runtime:
        assert runtime.feed("f")["holes"] == [list(hole) for hole in feed.holes]
        assert runtime.feed("f")["lost"] == feed.lost
        for seq in (first, last):
            with pytest.raises(RecordGone, match=f"{first} to {last} .* lost"):
                runtime.event("f", seq)
        assert runtime.event("f", first - 1)["record"]
        assert runtime.event("f", last + 1)["record"]
        assert runtime.post("f", frame(1780, 20), None, producer="p", batch=61).last_seq == LAST
        assert runtime.post("f", frame(LAST, 20), None, producer="p", batch=62).first_seq == LAST + 1
        drain(runtime)
        assert runtime.event("f", LAST + 1)["score"] is not None
    found = outcome(data)
    assert found.position[1] == LAST + 20
    assert found.entries[-1][0] > before.position[0], "entries that results were committed under stay used"
    assert "is removed" not in caplog.text, "snapshots after a hole stay good"
    assert set(before.alerts) <= set(found.alerts)
    assert repair(data).feeds[0].holes == feed.holes


@pytest.mark.parametrize("size_bytes", [0, 100, PAGE_BYTES])
def test_a_first_page_that_cannot_be_read_is_replaced(data: Path, size_bytes: int) -> None:
    before = outcome(data)
    with (data / FILE_NAME).open("r+b") as file:
        file.seek(40)
        file.write(b"\xa5" * (size_bytes or 60))
        if size_bytes:
            file.seek(0)
            file.write(b"\x5a" * size_bytes)
    if size_bytes:
        with pytest.raises(DatabaseDamaged):
            Database(data).migrate()
    assert repair(data).feeds[0].lost == 0
    assert outcome(data) == before


def test_a_truncated_file_gives_what_is_left_of_it(data: Path) -> None:
    size_bytes = (leaves(data, "entry")[-4] - 1) * PAGE_BYTES + 1000
    with (data / FILE_NAME).open("r+b") as file:
        file.truncate(size_bytes)
    with pytest.raises(DatabaseDamaged), running(data, ManualClock()):
        pass
    [feed] = repair(data).feeds
    assert 600 < feed.kept < LAST
    assert feed.kept + feed.lost == LAST
    with running(data, ManualClock()) as runtime:
        assert runtime.post("f", frame(LAST, 20), None).first_seq == LAST + 1
        drain(runtime)


def test_it_refuses_while_somebody_has_the_directory_and_where_nothing_is(data: Path, tmp_path: Path) -> None:
    held = DataDirectoryLock.acquire(data)
    with pytest.raises(DataDirectoryInUse):
        repair(data)
    held.release()
    with pytest.raises(DatabaseDamaged, match="no database"):
        repair(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("step", ["before", "between"])
def test_a_swap_that_was_cut_short_is_finished_before_anything_else(data: Path, step: str) -> None:
    """Leave the directory as a crash would, before the old file was renamed or before the new one was."""
    before = outcome(data)
    repair(data)
    saved = data / FOLDER / FILE_NAME
    saved.parent.mkdir()
    (data / FILE_NAME).rename(saved)
    if step == "before":
        (data / "anomalyai.db.damaged-1").rename(data / FILE_NAME)
    (data / PENDING_NAME).write_bytes(b"1")
    with pytest.raises(DatabaseDamaged, match="cut short"), running(data, ManualClock()):
        pass
    (data / "engine.lock").unlink()
    assert repair(data).old == data / "anomalyai.db.damaged-1"
    assert outcome(data) == before


def test_the_command_prints_what_is_lost(data: Path) -> None:
    spoil(data, leaves(data, "entry")[4])
    done = CliRunner().invoke(cli, ["repair", "--data", str(data)])
    assert done.exit_code == 0, done.output
    assert "table entry: " in done.stdout
    assert "feed f: " in done.stdout
    assert " lost (" in done.stdout
    assert CliRunner().invoke(cli, ["repair", "--data", str(data / "nothing")]).exit_code == 1
