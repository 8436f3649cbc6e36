"""Web Push."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class PushSettings:
    """Web Push: notifications for people without an open page (docs/protocol.md, section 6)."""

    key_file: str = setting(
        "%(here)s/presence-vapid.pem",
        "File with the keys that identify this service to push services; `dpresence rotate vapid` makes it. Without it, nothing is pushed.",
        allowed="a file",
    )
    services: tuple[str, ...] = setting(
        ("push.services.mozilla.com", "fcm.googleapis.com", "push.apple.com", "notify.windows.com"),
        "Domains of the push services of browsers, with all names below them. Other endpoints are refused.",
        check=allowed.push_services,
        allowed="host names",
    )
    subscriptions_per_user: int = setting(10, "Maximum number of browsers in which one person has push on.", low=1, high=100)
    pushes_per_hour: int = setting(
        20, "Maximum number of notifications of one application that are pushed to one person in an hour.", low=1, high=1000
    )
