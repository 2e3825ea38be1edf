"""The first tables: log, admission, results and jobs."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create every table of the first version."""
    _create_log()
    _create_admission()
    _create_results()


def downgrade() -> None:
    """Drop every table, with what it holds."""
    names = (
        "job",
        "dead_letter",
        "score",
        "alert",
        "position",
        "dedup",
        "producer",
        "feed",
        "entry",
        "identity",
    )
    for name in names:
        op.drop_table(name)


def _create_log() -> None:
    identity = op.create_table("identity", sa.Column("id", sa.Text, primary_key=True))
    op.bulk_insert(identity, [{"id": uuid.uuid4().hex}])
    op.create_table(
        "entry",
        sa.Column("entry", _COUNT, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("first_seq", _COUNT),
        sa.Column("n", _COUNT, nullable=False),
        sa.Column("arrival", sa.Float, nullable=False),
        sa.Column("producer", sa.Text),
        sa.Column("batch", _COUNT),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("crc", _COUNT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("entry_by_feed", "entry", ["feed", "entry"])
    op.create_index("entry_by_seq", "entry", ["feed", "first_seq"])
    op.create_index("entry_control", "entry", ["feed", "entry"], sqlite_where=sa.text("kind <> 'records'"))


def _create_admission() -> None:
    op.create_table(
        "feed",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("rejected", _COUNT, nullable=False),
        sa.Column("shed", _COUNT, nullable=False),
        sa.Column("key_count", _COUNT, nullable=False),
    )
    op.create_table(
        "producer",
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("next_batch", _COUNT, nullable=False),
        sa.PrimaryKeyConstraint("feed", "producer"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dedup",
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("number", _COUNT, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("feed", "number"),
    )
    op.create_index("dedup_by_key", "dedup", ["feed", "key"], unique=True)


def _create_results() -> None:
    op.create_table(
        "position",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("entry", _COUNT, nullable=False),
        sa.Column("seq", _COUNT, nullable=False),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("seq", _COUNT, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", _COUNT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("alert_by_seq", "alert", ["feed", "seq"])
    op.create_table(
        "score",
        sa.Column("entry", _COUNT, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("first_seq", _COUNT, nullable=False),
        sa.Column("n", _COUNT, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "dead_letter",
        sa.Column("entry", _COUNT, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("first_seq", _COUNT),
        sa.Column("n", _COUNT, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("entry", _COUNT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failures", _COUNT, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index("job_by_feed", "job", ["feed"])
