"""The database file: set-up, migrations, read-only readers and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from stream.database import PAGE_BYTES, Database
from stream.errors import DatabaseDamaged, StoreVersion
from stream.tables import metadata


def test_a_fresh_file_is_durable_wal_and_holds_exactly_the_declared_tables(tmp_path: Path) -> None:
    database = Database(tmp_path / "a #? %20 dir")
    database.migrate()
    with database.writer.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "page_size", "mmap_size")
        }
        assert pragma == {"journal_mode": "wal", "synchronous": 2, "page_size": 8192, "mmap_size": 0}
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert database.path.is_file()
    database.close()


def test_the_os_durability_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path, durability="os")
    with database.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1


def test_migrating_twice_keeps_what_is_there(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.migrate()
    with database.writer.begin() as connection:
        connection.execute(metadata.tables["position"].insert(), {"feed": "a", "entry": 7, "seq": 9})
    database.migrate()
    with database.reader.connect() as connection:
        assert connection.execute(sa.select(metadata.tables["position"])).all() == [("a", 7, 9)]


def test_readers_cannot_write(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.migrate()
    with database.reader.connect() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.execute(metadata.tables["position"].delete())


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.migrate()
    with database.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreVersion, match="9999") as caught:
        database.migrate()
    assert "versions up to 0" in str(caught.value.hint)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "anomalyai.db").write_bytes(b"no database " * 1000)
    database = Database(tmp_path)
    with pytest.raises(DatabaseDamaged, match="not a database") as caught:
        database.migrate()
    assert "anomalyai repair" in str(caught.value.hint)
    assert "not a database" in str(database.damage)


def test_a_malformed_page_is_noticed_by_whoever_reads_it_first(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.migrate()
    with database.writer.begin() as connection:
        connection.execute(metadata.tables["position"].insert(), {"feed": "a", "entry": 7, "seq": 9})
        root = connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'position'"
        ).scalar_one()
    with database.writer.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    spoil_page(database.path, root)
    with database.reader.connect() as connection, pytest.raises(DatabaseDamaged, match="malformed"):
        connection.execute(sa.select(metadata.tables["position"])).all()
    assert "malformed" in str(database.damage)


def spoil_page(path: Path, page: int) -> None:
    """Overwrite a page of a database that nobody has open."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)


def test_a_migration_that_breaks_off_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path)
    real = Operations.create_index

    def fail(self: Operations, name: str, *args: Any, **options: Any) -> None:
        if name == "alert_by_seq":
            raise KeyboardInterrupt
        real(self, name, *args, **options)

    monkeypatch.setattr(Operations, "create_index", fail)
    with pytest.raises(KeyboardInterrupt):
        database.migrate()
    monkeypatch.undo()
    with database.reader.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    database.migrate()
