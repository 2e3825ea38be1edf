"""What Alembic runs: migrate the connection that `stream.database` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from stream.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
