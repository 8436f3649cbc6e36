"""Runs for each Alembic command: on the caller's connection, in its transaction, leaving its logging alone."""

from __future__ import annotations

from alembic import context

from dpresence.backends.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
