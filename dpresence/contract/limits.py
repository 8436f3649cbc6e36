"""The limits of a service that its clients meet: settings, with their meaning and their value at this service."""

from __future__ import annotations

from typing import Any

from ..settings import Settings
from ..settings.catalog import documented

_RATES = ("presence.status_rate", "presence.status_burst", "presence.notification_rate", "presence.notification_burst")
REST = (
    *("channels.body_bytes", "channels.request_rate", "channels.request_burst", "channels.connection_request_rate"),
    *("channels.connection_request_burst", "channels.failures_per_minute", "channels.registrations_per_hour"),
    *("identity.logins_per_hour", "identity.tickets_per_hour", "identity.session_seconds", "identity.ticket_seconds"),
    *("presence.applications_per_developer", "presence.keys_per_hour", "presence.key_overlap_seconds", *_RATES),
)
DEVICE = (
    *("channels.device_frame_bytes", "channels.device_frame_rate", "channels.device_frame_burst", "channels.fragments"),
    *("channels.bad_frames", "channels.sign_in_seconds", "channels.unsigned_per_address", "channels.accept_rate", "channels.accept_burst"),
    *("presence.devices_per_user", "presence.replacements_per_minute", "presence.status_rate", "presence.status_burst"),
    *("presence.ping_seconds", "presence.pong_seconds", "presence.grace_seconds", "identity.session_seconds", "identity.renewal_seconds"),
)
APP_SERVICE = (
    *("channels.appservice_frame_bytes", "channels.appservice_frame_rate", "channels.appservice_frame_burst", "channels.fragments"),
    *("channels.bad_frames", "channels.sign_in_seconds", "presence.sockets_per_application", "presence.notification_rate"),
    *("presence.notification_burst", "presence.waiting_notifications", "presence.feed_seconds", "presence.feed_entries"),
    *("presence.ping_seconds", "presence.pong_seconds"),
)


def limits(settings: Settings, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the meaning and the value of some settings, by key."""
    fields = documented()
    return {key: {"value": _value(settings, key), "description": fields[key].metadata["doc"]} for key in keys}


def _value(settings: Settings, key: str) -> Any:
    concern, _, name = key.partition(".")
    return getattr(getattr(settings, concern), name)
