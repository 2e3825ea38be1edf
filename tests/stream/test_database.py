"""The database file: set-up, migrations, read-only readers and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from stream.database import Database
from stream.errors import StoreVersion
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
    assert "0001" in str(caught.value.hint)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "anomalyai.db").write_bytes(b"no database " * 1000)
    with pytest.raises(StoreVersion, match="not a database"):
        Database(tmp_path).migrate()


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
