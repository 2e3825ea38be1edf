"""Alembic migrations of the database, run by `stream.database.Database.migrate`."""
