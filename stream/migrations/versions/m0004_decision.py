"""What was decided about retrainings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "decision",
        sa.Column("number", _COUNT, primary_key=True),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("decision_by_feed", "decision", ["feed", "number"])


def downgrade() -> None:
    """Drop it, with what it holds."""
    op.drop_table("decision")
