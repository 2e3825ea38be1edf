"""Incidents, and which one an alert belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table; earlier alerts belong to no incident."""
    op.create_table(
        "incident",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("last_seq", _COUNT, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("revision", _COUNT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("incident_by_seq", "incident", ["feed", "last_seq", "id"])
    op.add_column("alert", sa.Column("incident", sa.Text))
    op.create_index("alert_by_incident", "alert", ["incident", "seq"])


def downgrade() -> None:
    """Drop it, with what it holds."""
    op.drop_index("alert_by_incident", "alert")
    op.drop_column("alert", "incident")
    op.drop_table("incident")
