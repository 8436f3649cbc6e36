"""Shared parts of the SQL backends: the database, its tables and migrations. Imported only after the server has applied monkey patches."""
