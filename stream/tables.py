"""The tables of the one database file; `stream/migrations` creates them, a test keeps the two equal.

Times are epoch seconds (UTC), `seq` counts a feed's records from 1, `entry` orders everything in the log.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

metadata = MetaData()

_Count = BigInteger().with_variant(Integer, "sqlite")

entry = Table(
    "entry",
    metadata,
    Column("entry", _Count, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("kind", Text, nullable=False),  # "records", or the tag of a control entry
    Column("first_seq", _Count),  # None for control entries
    Column("n", _Count, nullable=False),  # records in the body
    Column("arrival", Float, nullable=False),
    Column("producer", Text),
    Column("batch", _Count),
    Column("codec", Text, nullable=False),
    Column("crc", _Count, nullable=False),  # CRC-32 of the body, unpacked
    Column("body", LargeBinary, nullable=False),
    Index("entry_by_feed", "feed", "entry"),
    Index("entry_by_seq", "feed", "first_seq"),
    Index("entry_control", "feed", "entry", sqlite_where=text("kind <> 'records'")),
)
"""The log: one row per admitted run of records or control entry, never changed but in how it is packed."""

cut = Table(
    "cut",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("entry", _Count, nullable=False),
    Column("seq", _Count, nullable=False),
    Column("records", _Count, nullable=False),  # dropped in all
)
"""How far retention has dropped a feed's records: up to this entry and seq."""

hole = Table(
    "hole",
    metadata,
    Column("feed", Text, nullable=False),
    Column("first_seq", _Count, nullable=False),
    Column("last_seq", _Count, nullable=False),
    PrimaryKeyConstraint("feed", "first_seq"),
    sqlite_with_rowid=False,
)
"""Records that a repair did not find again; their numbers stay used."""

identity = Table("identity", metadata, Column("id", Text, primary_key=True))
"""One row: the name of this log, so that a snapshot of another one is not taken for its own."""

feed = Table(
    "feed",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("created", Float, nullable=False),
    Column("rejected", _Count, nullable=False),
    Column("shed", _Count, nullable=False),
    Column("key_count", _Count, nullable=False),  # idempotency keys ever remembered
)
"""What admission counts and the log does not hold."""

producer = Table(
    "producer",
    metadata,
    Column("feed", Text, nullable=False),
    Column("producer", Text, nullable=False),
    Column("next_batch", _Count, nullable=False),
    PrimaryKeyConstraint("feed", "producer"),
    sqlite_with_rowid=False,
)
"""Where each named producer goes on."""

dedup = Table(
    "dedup",
    metadata,
    Column("feed", Text, nullable=False),
    Column("number", _Count, nullable=False),  # counts the feed's keys from 1; the oldest are forgotten
    Column("key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the body as it was sent
    Column("answer", LargeBinary, nullable=False),  # JSON
    PrimaryKeyConstraint("feed", "number"),
    Index("dedup_by_key", "feed", "key", unique=True),
)
"""First answers, given again when the same batch is sent again."""

position = Table(
    "position",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("entry", _Count, nullable=False),
    Column("seq", _Count, nullable=False),
)
"""How far the engine's results of a feed are committed."""

alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("seq", _Count, nullable=False),
    Column("score", Float, nullable=False),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", _Count, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON, as pages get it
    Column("incident", Text),
    Index("alert_by_seq", "feed", "seq"),
    Index("alert_by_incident", "incident", "seq"),
)
"""Alerts; the row of an id is replaced only by a higher revision."""

incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("last_seq", _Count, nullable=False),
    Column("severity", Text, nullable=False),
    Column("revision", _Count, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON
    Index("incident_by_seq", "feed", "last_seq", "id"),
)
"""Incidents; the row of an id is replaced only by a higher revision."""

score = Table(
    "score",
    metadata,
    Column("entry", _Count, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("first_seq", _Count, nullable=False),
    Column("n", _Count, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),  # see stream.results
)
"""What each record of a log entry scored."""

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("entry", _Count, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("first_seq", _Count),
    Column("n", _Count, nullable=False),
    Column("error", Text, nullable=False),
    Column("at", Float, nullable=False),
)
"""Entries that made the pipeline raise; every replay leaves them out."""

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("entry", _Count, nullable=False),  # the last one that counts
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("failures", _Count, nullable=False),
    Column("model", Text),
    Column("error", Text),  # JSON
    Column("created", Float, nullable=False),
    Column("started", Float),  # lately
    Column("finished", Float),
    Column("task", Text),  # JSON, see stream.training.task; None for a feed's first training
    Index("job_by_feed", "feed"),
)
"""Trainings, so that one that a crash cut short is started again."""

decision = Table(
    "decision",
    metadata,
    Column("number", _Count, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON
    Index("decision_by_feed", "feed", "number"),
)
"""What was decided about retrainings, the latest of each feed."""
