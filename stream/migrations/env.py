"""What Alembic runs: migrate the connection that `stream.database` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from stream.tables import metadata


def migrate() -> None:
    """Run the migrations that are due."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # only while Alembic runs this file
    migrate()
