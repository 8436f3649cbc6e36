"""Settings: one frozen dataclass per concern. ``ini.py`` reads and validates them at startup.

A field is one key: ``presence.grace_seconds`` is ``PresenceSettings.grace_seconds``. Its metadata contains its description and the
allowed values. ``make settings`` writes the ini files and ``docs/settings.md`` from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .allowed import REDIS_URL, redis_name
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
from .mail import MailSettings
from .monitoring import MetricsSettings, SentrySettings
from .outbound import OutboundSettings
from .pages import PagesSettings
from .presence import PresenceSettings
from .push import PushSettings
from .server import ServerSettings
from .storage import RedisMailboxSettings, RedisSettings, StorageSettings

__all__ = [
    "LOOPBACK_HOSTS", "REDIS_URL", "RESERVED", "AdminSettings", "BrowserIDSettings", "ChannelSettings", "IdentitySettings",
    "IssuerSettings", "MailSettings", "MetricsSettings", "OidcSettings", "OutboundSettings", "PagesSettings", "PresenceSettings",
    "ProviderSettings", "PushSettings", "RedisMailboxSettings", "RedisSettings", "SentrySettings", "ServerSettings", "Settings",
    "StorageSettings", "refuse", "wrong_setting",
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
    mail: MailSettings = field(default_factory=MailSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    pages: PagesSettings = field(default_factory=PagesSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    sentry: SentrySettings = field(default_factory=SentrySettings)
    secret_files: Mapping[str, str] = field(default_factory=dict, compare=False)
    deprecated: Mapping[str, str] = field(default_factory=dict, compare=False)

    def by_redis_server(self) -> dict[str, Settings]:
        """Return the settings for each Redis server that is used, by its name: as if it were the only one, with the roles that it has."""
        on_tracker = {redis_name(url): url for url in self.redis.tracker_urls if self.storage.tracker == "redis"}
        on_mailbox = {redis_name(self.redis.url): self.redis.url} if self.storage.mailbox == "redis" else {}
        return {
            name: replace(
                self,
                storage=replace(
                    self.storage,
                    tracker="redis" if name in on_tracker else "memory",
                    mailbox="redis" if name in on_mailbox else "sql",
                ),
                redis=replace(self.redis.at(url), cluster=self.redis.cluster and name in on_tracker),
            )
            for name, url in {**on_tracker, **on_mailbox}.items()
        }
