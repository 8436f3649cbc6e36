"""People by the thousand, written straight into a service's database: an account, a grant and a ticket for each."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

from dpresence.backends import load
from dpresence.clock import Clock
from dpresence.identity.development import NAME
from dpresence.model import Grant, Identity, Ticket
from dpresence.settings import Settings, StorageSettings

DAY_MS = 86_400_000


def seed(database: Path, appids: list[str], count: int, prefix: str = "user") -> list[list[str]]:
    """Make people who granted some applications, each with a ticket; return [e-mail, ticket] of each.

    :param database: of a service that has started once; it may be running, as it knows nobody of them yet.
    """
    clock = Clock()
    backends = load(Settings(StorageSettings(directory_url=f"sqlite:///{database}")), clock)
    try:
        return [_person(backends.directory, appids, f"{prefix}{number}@example.org", clock.now()) for number in range(count)]
    finally:
        backends.close()


def _person(directory: Any, appids: list[str], email: str, now: int) -> list[str]:
    account = directory.sign_in(Identity(email, NAME, email, now + DAY_MS), now)
    for appid in appids:
        directory.add_grant(Grant(appid, secrets.token_urlsafe(16), account.id, now, now))
    proof = f"ticket:{secrets.token_urlsafe(32)}"
    ends = now + DAY_MS
    directory.add_ticket(Ticket(sha256(proof.encode()).digest(), secrets.token_urlsafe(12), account.id, ends, ends))
    return [email, proof]
