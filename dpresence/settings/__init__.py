"""Settings: one frozen dataclass per concern. ``ini.py`` reads and validates them at startup.

A field is one key: ``presence.grace_seconds`` is ``PresenceSettings.grace_seconds``. Its metadata contains its description and the
allowed values. ``make settings`` writes the ini files and ``docs/settings.md`` from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .allowed import REDIS_URL
from .channels import ChannelSettings
from .declaration import refuse, wrong_setting
from .identity import (
    LOOPBACK_HOSTS,
    RESERVED,
    AdminSettings,
    BrowserIDSettings,
    IdentitySettings,
    IssuerSettings,
    OidcSettings,
    ProviderSettings,
)
from .monitoring import MetricsSettings, SentrySettings
from .outbound import OutboundSettings
from .pages import PagesSettings
from .presence import PresenceSettings
from .push import PushSettings
from .server import ServerSettings
from .storage import RedisMailboxSettings, RedisSettings, StorageSettings

__all__ = [
    "LOOPBACK_HOSTS", "REDIS_URL", "RESERVED", "AdminSettings", "BrowserIDSettings", "ChannelSettings", "IdentitySettings",
    "IssuerSettings", "MetricsSettings", "OidcSettings", "OutboundSettings", "PagesSettings", "PresenceSettings", "ProviderSettings",
    "PushSettings", "RedisMailboxSettings", "RedisSettings", "SentrySettings", "ServerSettings", "Settings", "StorageSettings",
    "refuse", "wrong_setting",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of ``[app:main]``, with one field per concern.

    :ivar secret_files: the files that secrets were read from, by the key of the secret.
    :ivar deprecated: former names of settings that the ini and the environment use, with the present ones, both as they are written.
    """

    storage: StorageSettings = field(default_factory=StorageSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    redis_mailbox: RedisMailboxSettings = field(default_factory=RedisMailboxSettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    browserid: BrowserIDSettings = field(default_factory=BrowserIDSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    channels: ChannelSettings = field(default_factory=ChannelSettings)
    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    push: PushSettings = field(default_factory=PushSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    pages: PagesSettings = field(default_factory=PagesSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    sentry: SentrySettings = field(default_factory=SentrySettings)
    secret_files: Mapping[str, str] = field(default_factory=dict, compare=False)
    deprecated: Mapping[str, str] = field(default_factory=dict, compare=False)
