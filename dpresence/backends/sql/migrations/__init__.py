"""Alembic's room: ``env.py`` is run for each command, ``versions`` holds one file for each revision."""
