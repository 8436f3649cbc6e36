"""All keys of ``[app:main]``, and of each settings class, with their declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from .channels import ChannelSettings
from .declaration import setting
from .identity import AdminSettings, BrowserIDSettings, IdentitySettings, OidcSettings
from .mail import MailSettings
from .monitoring import MetricsSettings, SentrySettings
from .outbound import OutboundSettings
from .pages import PagesSettings
from .presence import PresenceSettings
from .push import PushSettings
from .storage import RedisMailboxSettings, RedisSettings, StorageSettings

Field = dataclasses.Field[Any]

CONCERNS: dict[str, tuple[str, type]] = {
    "storage": ("", StorageSettings),
    "redis": ("redis", RedisSettings),
    "redis_mailbox": ("mailbox.redis", RedisMailboxSettings),
    "presence": ("presence", PresenceSettings),
    "identity": ("identity", IdentitySettings),
    "browserid": ("browserid", BrowserIDSettings),
    "oidc": ("oidc", OidcSettings),
    "channels": ("channels", ChannelSettings),
    "outbound": ("outbound", OutboundSettings),
    "push": ("push", PushSettings),
    "mail": ("mail", MailSettings),
    "admin": ("admin", AdminSettings),
    "pages": ("pages", PagesSettings),
    "metrics": ("metrics", MetricsSettings),
    "sentry": ("sentry", SentrySettings),
}
"""The fields of ``Settings``, each with the prefix of its keys and its class."""


def keys(cls: type, prefix: str) -> dict[str, Field]:
    """Return the keys of a settings class, with their fields.

    The field names of ``StorageSettings`` are whole keys: ``directory_url`` is ``directory.url``.
    """
    fields = {field.name: field for field in dataclasses.fields(cls) if "doc" in field.metadata}
    if prefix:
        return {f"{prefix}.{name}": field for name, field in fields.items()}
    return {name.replace("_", ".", 1) if cls is StorageSettings else name: field for name, field in fields.items()}


@cache
def documented() -> Mapping[str, Field]:
    """Return every key of ``[app:main]`` with its field, in the order of the ini. A secret is followed by the key of its file."""
    found = {}
    for prefix, cls in CONCERNS.values():
        for key, field in keys(cls, prefix).items():
            found[key] = field
            if field.metadata["secret"]:
                found[file_key(key)] = _file_of(key)
    return MappingProxyType(found)


def secrets() -> tuple[str, ...]:
    """Return the keys whose value may be in a file."""
    return tuple(key for prefix, cls in CONCERNS.values() for key, field in keys(cls, prefix).items() if field.metadata["secret"])


def former_keys() -> dict[str, str]:
    """Return the keys of earlier versions that were renamed, with their present names."""
    fields = [(key, field.metadata["former"]) for key, field in documented().items()]
    return {f"{key.rpartition('.')[0]}.{former}": key for key, former in fields if former}


def file_key(key: str) -> str:
    """Return the key of the file with a secret."""
    return f"{key}_file"


def _file_of(key: str) -> Field:
    declared: Field = setting("", f"File that contains `{key}`, which must then be empty.", allowed="a file")
    return declared
