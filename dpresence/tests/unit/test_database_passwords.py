"""The programs of PostgreSQL get the password by their environment, and none in the URL."""

from __future__ import annotations

from dpresence.commands.sql import without_password


def test_the_url_for_a_program_of_postgresql_has_no_password_and_no_mask() -> None:
    url = "postgresql+psycopg://ann:p%40%3A%25x@db.example.org:5433/presence?sslmode=verify-full"
    assert without_password(url) == ("postgresql://ann@db.example.org:5433/presence?sslmode=verify-full", "p@:%x")
    assert without_password("postgresql+psycopg://ann@/presence") == ("postgresql://ann@/presence", "")
