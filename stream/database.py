"""The database file: how it is opened, set up and brought to the current version.

One connection writes, owned by `stream.writer`; readers take read-only connections from a small pool, which
SQLite's write-ahead log lets run beside the writer. Safe to share between threads: SQLAlchemy's pools lock.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from stream.errors import DatabaseDamaged, LogFailure, StoreVersion

FILE_NAME = "anomalyai.db"
PENDING_NAME = "repair.pending"
PAGE_BYTES = 8192
CHECKPOINT_PAGES = 2000
BUSY_TIMEOUT_MS = 10_000
READERS = 8
DAMAGED_CODES = frozenset({11, 26})  # CORRUPT, NOTADB
UNREADABLE_CODES = frozenset({10, 14})  # IOERR, CANTOPEN
SYNCHRONOUS = {"fsync": "FULL", "os": "NORMAL"}

REPAIR_HINT = "stop the server and run `anomalyai repair --data DIR`; it saves what can be read"

Durability = Literal["fsync", "os"]

log = logging.getLogger("anomalyai.stream")


def driver() -> ModuleType:
    """Return the SQLite driver: pysqlite3 (its SQLite lacks the WAL-reset bug), else the standard one."""
    if sys.platform == "linux":
        import pysqlite3

        return pysqlite3  # type: ignore[no-any-return]
    return sqlite3


class Database:
    """The engines of one database file.

    `writer` makes the one connection that writes; `reader` makes read-only ones. `damage` says what was found
    wrong with the file, None while nothing was: set once, by whoever came upon it.
    """

    def __init__(self, data: Path, durability: Durability = "fsync") -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.path = (data / FILE_NAME).resolve()
        self.damage: str | None = None
        self.writer = sa.create_engine(
            "sqlite://", module=driver(), creator=partial(_connect, self.path, "rwc"), poolclass=NullPool
        )
        self.reader = sa.create_engine(
            "sqlite://",
            module=driver(),
            creator=partial(_connect, self.path, "ro"),
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=READERS,
            isolation_level="AUTOCOMMIT",
        )
        _begin_by_hand(self.writer)
        _at_connect(
            self.writer,
            f"PRAGMA page_size={PAGE_BYTES}",
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={SYNCHRONOUS[durability]}",
            f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"PRAGMA journal_size_limit={4 * CHECKPOINT_PAGES * PAGE_BYTES}",
            f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
        )
        _at_connect(self.reader, f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        event.listen(self.writer, "handle_error", self._note_damage)
        event.listen(self.reader, "handle_error", self._explain)

    def migrate(self) -> None:
        """Create or upgrade the tables, in one transaction. The caller holds the data directory's lock.

        Raises
        ------
        StoreVersion
            The file was written by a newer version, or cannot be opened.
        DatabaseDamaged
            The file is damaged, or no database.
        """
        if (self.path.parent / PENDING_NAME).exists():
            self.damage = f"a repair of {self.path.parent} was cut short"
            raise damaged(self.damage)
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every start otherwise
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self.writer.connect() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        except (CommandError, ResolutionError) as error:
            head = ScriptDirectory.from_config(config).get_current_head()
            raise StoreVersion(
                f"the database {self.path} is of a version that this program does not know: {error}",
                field="data",
                hint=f"this program knows versions up to {head}; use the newer program, or another --data",
            ) from error
        except sa.exc.DatabaseError as error:
            if self.damage is not None:
                raise damaged(self.damage) from error
            raise StoreVersion(
                f"cannot open the database {self.path}: {error.orig}",
                field="data",
                hint="check the disk and the file's rights, restore it from a copy, or name another --data",
            ) from error

    def checkpoint(self) -> None:
        """Bring everything from the write-ahead file into the main one, durably. While nobody else has it."""
        with self.writer.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the pooled connections."""
        self.reader.dispose()
        self.writer.dispose()

    def _note_damage(self, context: sa.engine.ExceptionContext) -> None:
        if self.damage is None and primary_code(context.original_exception) in DAMAGED_CODES:
            self.damage = f"the database {self.path} is damaged: {context.original_exception}"
            log.critical("%s", self.damage)

    def _explain(self, context: sa.engine.ExceptionContext) -> None:
        """Let readers meet errors of ours where the file cannot be read."""
        self._note_damage(context)
        cause, code = context.original_exception, primary_code(context.original_exception)
        if code in DAMAGED_CODES:
            raise damaged(f"the database {self.path} is damaged: {cause}") from cause
        if code in UNREADABLE_CODES:
            raise LogFailure(
                f"the database {self.path} could not be read: {cause}",
                hint="look at the disk of the data directory, then start the server again",
            ) from cause


def primary_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code of a driver's error, None where it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def damaged(cause: str) -> DatabaseDamaged:
    """Return the error that says so, and what helps."""
    return DatabaseDamaged(cause, field="data", hint=REPAIR_HINT)


def _connect(path: Path, mode: str) -> Any:
    # the pools hand a connection to one thread at a time, which is all that SQLite asks
    connection = driver().connect(f"file:{quote(str(path))}?mode={mode}", uri=True, check_same_thread=False)
    connection.text_factory = readable_text
    return connection


def readable_text(raw: bytes) -> str:
    """Decode a text of the database; one that is damaged is still to be read, and then found to be wrong."""
    return raw.decode("utf-8", "replace")


def _begin_by_hand(engine: sa.Engine) -> None:
    """Let every transaction begin with BEGIN.

    The driver begins none for CREATE TABLE, so that half a migration would stay after a crash.
    """

    @event.listens_for(engine, "connect")
    def leave_it(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _at_connect(engine: sa.Engine, *statements: str) -> None:
    @event.listens_for(engine, "connect")
    def run(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
