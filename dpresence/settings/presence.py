"""Times and limits of presence."""

from __future__ import annotations

from dataclasses import dataclass

from .declaration import refuse, setting


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """Times and limits of presence (docs/protocol.md, sections 3 to 5)."""

    ping_seconds: int = setting(25, "A channel silent for this long is pinged.", low=5, high=300)
    pong_seconds: int = setting(10, "A channel that does not answer a ping within this is closed with 4201.", low=2, high=60)
    grace_seconds: int = setting(15, "A device whose connection is lost keeps its status for this long.", low=0, high=600)
    lease_seconds: int = setting(
        60, "A process that has not renewed its lease for this long is treated as dead, and its devices as disconnected.", low=20, high=3600
    )
    device_lease_seconds: int = setting(
        300, "Longest time for which a heartbeat keeps a device without a socket connected.", low=60, high=3600
    )
    refresh_seconds: int = setting(20, "Interval at which a process renews its lease.", low=1, high=600)
    sweep_seconds: int = setting(5, "Interval of the sweep for devices whose grace or lease is over.", low=1, high=60)
    feed_seconds: int = setting(3600, "How long updates are stored for an application without a channel.", low=60, high=86400)
    feed_entries: int = setting(
        10000,
        "Maximum number of updates stored for such an application; above that, only the newest of each PUID is stored.",
        low=100,
        high=1000000,
    )
    key_overlap_seconds: int = setting(86400, "How long an API key still works after a new one was made.", low=0, high=2592000)
    keys_per_hour: int = setting(10, "Maximum number of new API keys of one application.", low=1, high=100000)
    devices_per_user: int = setting(20, "Maximum number of connected devices of one e-mail.", low=1, high=1000)
    applications_per_developer: int = setting(100, "Maximum number of applications of one developer.", low=1, high=10000)
    replacements_per_minute: int = setting(
        6, "Maximum number of times that a connected device may be taken over by a newer connection.", low=1, high=1000
    )
    sockets_per_application: int = setting(10, "Maximum number of open channels of one application in one process.", low=1, high=1000)
    waiting_notifications: int = setting(
        100, "Maximum number of notifications waiting for one user from one application.", low=1, high=1000
    )
    inbox_days: int = setting(7, "How long a notification stays in the inbox of its user; 0 turns inboxes off.", low=0, high=90)
    inbox_entries: int = setting(200, "Maximum number of notifications in the inbox of a user.", low=10, high=1000)
    status_rate: float = setting(1.0, "Maximum number of status changes of a device, and of an account, per second.", low=0.01, high=1000)
    status_burst: int = setting(20, "Maximum number of status changes of a device, and of an account, at once.", low=1, high=10000)
    notification_rate: float = setting(100.0, "Maximum number of notifications of an application, per second.", low=0.01, high=100000)
    notification_burst: int = setting(1000, "Maximum number of notifications of an application at once.", low=100, high=100000)

    @property
    def silence_seconds(self) -> int:
        """Longest silence of a peer that is there, in seconds: it is pinged, and answers (docs/protocol.md, section 4)."""
        return self.ping_seconds + self.pong_seconds

    def check(self) -> None:
        """Refuse timers that would make a user's status change without cause (docs/protocol.md, section 4)."""
        lowest = 2 * self.refresh_seconds + 10
        refuse(self.pong_seconds >= self.ping_seconds, "presence.pong_seconds", self.pong_seconds,
                f"less than presence.ping_seconds ({self.ping_seconds})")  # fmt: skip
        refuse(self.lease_seconds < lowest, "presence.lease_seconds", self.lease_seconds,
                f"at least {lowest}: twice presence.refresh_seconds ({self.refresh_seconds}) and 10")  # fmt: skip
        refuse(self.grace_seconds > self.lease_seconds, "presence.grace_seconds", self.grace_seconds,
                f"at most presence.lease_seconds ({self.lease_seconds})")  # fmt: skip
