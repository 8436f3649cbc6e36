"""Monitoring of the service by programs, and reports of its errors."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Access to ``GET /__metrics__`` (docs/protocol.md, section 6, For operators)."""

    networks: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1"),
        "Addresses or networks from which `/__metrics__` may be read without a proxy; empty: none.",
        check=allowed.networks,
        allowed="addresses, networks",
    )
    token: str = setting(
        "",
        "Bearer token with which `/__metrics__` may be read from anywhere, also through a proxy; empty: none.",
        check=allowed.token,
        allowed="16 to 128 of A-Z a-z 0-9 _ -",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class SentrySettings:
    """Reports of internal errors."""

    dsn: str = setting(
        "",
        "DSN of a project of Sentry that gets internal errors, without anything personal; empty: none.",
        check=allowed.dsn,
        allowed="https://key@host/project",
        secret=True,
    )
