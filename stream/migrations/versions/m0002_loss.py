"""What the log no longer has: what retention dropped, and the holes that a repair found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "cut",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("entry", _COUNT, nullable=False),
        sa.Column("seq", _COUNT, nullable=False),
        sa.Column("records", _COUNT, nullable=False),
    )
    op.create_table(
        "hole",
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("first_seq", _COUNT, nullable=False),
        sa.Column("last_seq", _COUNT, nullable=False),
        sa.PrimaryKeyConstraint("feed", "first_seq"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them, with what they hold."""
    for name in ("hole", "cut"):
        op.drop_table(name)
