"""Trainings that somebody asks for: what the task is, when it ran, and errors with their parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (("started", sa.Float), ("finished", sa.Float), ("task", sa.Text))


def upgrade() -> None:
    """Add the columns; an error in words gets a code."""
    for name, kind in COLUMNS:
        op.add_column("job", sa.Column(name, kind))
    op.execute(
        "UPDATE job SET error = json_object('code', 'training_failed', 'message', error) "
        "WHERE error IS NOT NULL"
    )


def downgrade() -> None:
    """Drop the columns; an error is its message again."""
    op.execute("UPDATE job SET error = json_extract(error, '$.message') WHERE error IS NOT NULL")
    for name, _ in reversed(COLUMNS):
        op.drop_column("job", name)
