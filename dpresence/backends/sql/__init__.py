"""What the SQL backends share: the database, its tables and their migrations. Nothing here is imported before the server has patched."""
