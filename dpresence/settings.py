"""Settings: one frozen dataclass per concern. ``ini.py`` reads and validates them at startup.

A field is one key: ``presence.grace_seconds`` is ``PresenceSettings.grace_seconds``. Its metadata contains its description and the
allowed values. ``docs/settings.md`` and the comments of ``presence.ini`` repeat them; a test verifies that all three are equal.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .errors import SettingError
from .origins import canonical_origin, is_app_origin

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
ONE_ORIGIN = "one origin, such as https://presence.example.org"
_HARMLESS = re.compile(r"(-?[0-9]+(\.[0-9]+)?|true|false|localhost)?")
RESERVED = (".invalid", ".test", ".localhost")


def wrong_setting(key: str, value: object, allowed: str) -> SettingError:
    """Return an error that names a setting and the allowed values.

    The error contains the value only if it cannot be a secret: a number, true or false, an IP address or network, an empty value, or
    an origin under a key of origins.
    Any other value may contain a password: in a URL, as the value of another key, or after a typing error.
    """
    text = str(value)
    is_origin = key in ("identity.audience", "channels.origins") and canonical_origin(text) == text
    harmless = _HARMLESS.fullmatch(text) or _networks((text,)) is None or is_origin
    shown = harmless and not re.search("token|secret|password", key)
    return SettingError(f"{key} = {text}: must be {allowed}" if shown else f"{key}: must be {allowed}")


def refuse(wrong: bool, key: str, value: object, allowed: str) -> None:
    """Refuse a wrong value with an error that names the allowed ones.

    :raises SettingError: ``wrong`` is true.
    """
    if wrong:
        raise wrong_setting(key, value, allowed)


def _key(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    one_of: tuple[str, ...] = (),
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare one key. ``check`` returns a description of the allowed values if the value is not allowed, else None."""
    metadata = {"doc": doc, "low": low, "high": high, "one_of": one_of, "check": check}
    return dataclasses.field(default=default, metadata=metadata)


def _origin(value: str) -> str | None:
    sent = canonical_origin(value)
    if sent == value:
        return None
    return f"written as browsers send it: {sent}" if sent else f"{ONE_ORIGIN}: no wildcard, no comma, no path"


def _origins(values: tuple[str, ...]) -> str | None:
    wrong = ((number, _origin(value)) for number, value in enumerate(values, 1) if not is_app_origin(value))
    return next((f"{allowed} (this is about word {number})" for number, allowed in wrong if allowed), None)


def _path(value: str) -> str | None:
    valid = re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", value)
    return None if valid else "empty, or words of a-z A-Z 0-9 . _ ~ - each after a /, such as /_presence"


def _networks(values: tuple[str, ...]) -> str | None:
    try:
        for value in values:
            ipaddress.ip_network(value)
    except ValueError:
        return "IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"
    return None


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The backend of each role."""

    directory_url: str = _key(
        "sqlite:///%(here)s/presence.db",
        "SQLAlchemy URL of the database, `sqlite` or `postgresql+psycopg`: accounts, applications, grants, keys.",
    )
    tracker: str = _key("memory", "Users' presence: `memory` (one process), `redis` (any number of processes).", one_of=("memory", "redis"))
    mailbox: str = _key("sql", "Waiting notifications: `sql` (the directory's database), `redis`.", one_of=("sql", "redis"))


REDIS_URL = "a redis://, rediss:// or unix:// URL; in its password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25"


def _redis_url(value: str) -> str | None:
    """Refuse also a URL that a driver would parse differently than intended, and then log a part of the password as a host."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 raises the error if the port is invalid
    except ValueError:
        return REDIS_URL
    path = "@" not in parts.path if parts.scheme == "unix" else re.fullmatch(r"/?|/[0-9]+/?", parts.path)
    valid = parts.scheme in ("redis", "rediss", "unix") and path and not parts.fragment and parts.netloc.count("@") <= 1
    return None if valid else REDIS_URL


def _redis_prefix(value: str) -> str | None:
    return None if re.fullmatch(r"[A-Za-z0-9_.:-]+", value) else "one or more of A-Z a-z 0-9 _ . : -"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """The Redis, 6.2 or later, of ``tracker = redis`` and ``mailbox = redis``."""

    url: str = _key("redis://127.0.0.1:6379/0", "URL of Redis.", check=_redis_url)
    timeout_seconds: float = _key(2.0, "Timeout of a call to Redis.", low=0.1, high=30)
    prefix: str = _key("dpresence:", "Prefix of every key in Redis; each service needs a different one.", check=_redis_prefix)


@dataclass(frozen=True, slots=True)
class RedisMailboxSettings:
    """Additional settings of ``mailbox = redis``."""

    allow_volatile: bool = _key(False, "Accept a Redis that loses acknowledged notifications at a crash.")


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """Times and limits of presence (docs/protocol.md, sections 3 to 5)."""

    ping_seconds: int = _key(25, "A channel silent for this long is pinged.", low=5, high=300)
    pong_seconds: int = _key(10, "A channel that does not answer a ping within this is closed with 4201.", low=2, high=60)
    grace_seconds: int = _key(15, "A device whose connection is lost keeps its status for this long.", low=0, high=600)
    lease_seconds: int = _key(
        60, "A process that has not renewed its lease for this long is treated as dead, and its devices as disconnected.", low=20, high=3600
    )
    refresh_seconds: int = _key(20, "Interval at which a process renews its lease.", low=1, high=600)
    sweep_seconds: int = _key(5, "Interval of the sweep for devices whose grace or lease is over.", low=1, high=60)
    feed_seconds: int = _key(3600, "How long updates are stored for an application without a channel.", low=60, high=86400)
    feed_entries: int = _key(
        10000, "How many updates are stored for such an application; beyond, only the newest of each PUID.", low=100, high=1000000
    )
    key_overlap_seconds: int = _key(86400, "How long an API key still works after a new one was made.", low=0, high=2592000)
    keys_per_hour: int = _key(10, "New API keys of one application.", low=1, high=100000)
    devices_per_user: int = _key(20, "Connected devices of one e-mail.", low=1, high=1000)
    applications_per_developer: int = _key(100, "Applications of one developer.", low=1, high=10000)
    replacements_per_minute: int = _key(6, "How often a connected device may be taken over by a newer connection.", low=1, high=1000)
    sockets_per_application: int = _key(10, "Open channels of one application in one process.", low=1, high=1000)
    waiting_notifications: int = _key(100, "Notifications waiting for one user from one application.", low=1, high=1000)
    status_rate: float = _key(1.0, "Status changes of a device, and of an account, per second.", low=0.01, high=1000)
    status_burst: int = _key(20, "Status changes of a device, and of an account, at once.", low=1, high=10000)
    notification_rate: float = _key(100.0, "Notifications of an application, per second.", low=0.01, high=100000)
    notification_burst: int = _key(1000, "Notifications of an application at once.", low=100, high=100000)

    def check(self) -> None:
        """Refuse timers that would make a user's status change without cause (docs/protocol.md, section 4)."""
        lowest = 2 * self.refresh_seconds + 10
        refuse(self.pong_seconds >= self.ping_seconds, "presence.pong_seconds", self.pong_seconds,
                f"less than presence.ping_seconds ({self.ping_seconds})")  # fmt: skip
        refuse(self.lease_seconds < lowest, "presence.lease_seconds", self.lease_seconds,
                f"at least {lowest}: twice presence.refresh_seconds ({self.refresh_seconds}) and 10")  # fmt: skip
        refuse(self.grace_seconds > self.lease_seconds, "presence.grace_seconds", self.grace_seconds,
                f"at most presence.lease_seconds ({self.lease_seconds})")  # fmt: skip


def _development_token(value: str) -> str | None:
    return None if re.fullmatch(r"([A-Za-z0-9_-]{16,128})?", value) else "16 to 128 of A-Z a-z 0-9 _ -, or empty"


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Authentication of users (docs/protocol.md, section 2)."""

    audience: str = _key("http://127.0.0.1:8282", "The only origin of this service; assertions must be made for it.", check=_origin)
    path: str = _key("", "Path of the service at that origin, such as `/_presence`; empty: the whole origin.", check=_path)
    verifiers: tuple[str, ...] = _key(
        (), "Verifiers to try, by name: `browserid`, `oidc`. Empty: sign-in is closed.", one_of=("browserid", "oidc")
    )
    development: bool = _key(False, "Issue assertions for any e-mail, on loopback only, to try the service.")
    development_token: str = _key(
        "", "Token that a call to the development issuer must have; empty: a new one at each start.", check=_development_token
    )
    session_seconds: int = _key(43200, "How long a sign-in lasts, on a channel and in a browser.", low=60, high=2592000)
    renewal_seconds: int = _key(60, "How long a channel whose sign-in has expired may take to send a new assertion.", low=5, high=600)
    ticket_seconds: int = _key(60, "How long a ticket made for a page is valid.", low=5, high=600)
    logins_per_hour: int = _key(60, "Browser sessions opened for one account.", low=1, high=100000)
    tickets_per_hour: int = _key(600, "Tickets issued to one account.", low=1, high=100000)
    secret_file: str = _key(
        "%(here)s/presence.secret", "Secret that signs the cookie of a sign-in at a provider; created if missing, with SQLite only."
    )

    @property
    def home(self) -> str:
        """Public base URL of this service: the audience and the path."""
        return self.audience + self.path


def mail_domains(values: tuple[str, ...]) -> str | None:
    """Return a description of the allowed values if a value is not a mail domain, else None."""
    words = all(re.fullmatch(r"\*|[a-z0-9.-]+", value, re.IGNORECASE) for value in values)
    return None if values and words else "mail domains with spaces between them, or *"


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One BrowserID issuer: ``browserid.<issuer>.keys`` and ``browserid.<issuer>.domains``.

    :param keys: one or two files that contain the issuer's public key as JSON (two during a key rollover).
    :param domains: mail domains whose addresses it may assert; ``*`` for all.
    """

    name: str
    keys: tuple[str, ...]
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrowserIDSettings:
    """Issuers of BrowserID assertions. No other issuer is trusted or fetched from."""

    issuers: tuple[str, ...] = _key(
        (), "Issuers, by host name. Each needs `browserid.<issuer>.keys` (files) and `browserid.<issuer>.domains`."
    )
    configured: tuple[IssuerSettings, ...] = ()


def _set(value: str | tuple[str, ...]) -> str | None:
    return None if value else "set"


def _issuer_url(value: str) -> str | None:
    parts = urlsplit(value)
    exact = parts.scheme in ("http", "https") and parts.hostname and not set("@?# ") & set(value)
    return None if exact else "the issuer's URL as its tokens spell it, such as https://id.example.org"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One OpenID Connect provider: ``oidc.<provider>.issuer`` and the other keys with this prefix.

    :ivar name: name of the provider in the ini and in the path ``/login/<provider>``.
    """

    name: str
    issuer: str = _key("", "Issuer URL, spelled as in the provider's tokens; https.", check=_issuer_url)
    client_id: str = _key("", "The client id of this service at the provider.", check=_set)
    client_secret_file: str = _key("", "File with the client secret; empty: a public client, by PKCE alone.")
    algorithms: tuple[str, ...] = _key(
        ("RS256",), "Permitted signature algorithms of ID tokens.", one_of=("RS256", "ES256", "EdDSA", "Ed25519"), check=_set
    )
    domains: tuple[str, ...] = _key(
        (), "Mail domains whose addresses the provider may assert; `*` permits every domain and logs a warning.", check=mail_domains
    )
    require_hd: bool = _key(False, "Accept a mail domain only if the token's `hd` also names it: Google Workspace.")
    email_verified_string: bool = _key(False, 'Accept the text `"true"` for the boolean in `email_verified`.')
    allow_private: bool = _key(False, "Permit a private address, and on loopback also http.")
    title: str = _key("", "Text of the sign-in button; empty: the provider's name in `oidc.providers`.")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """OpenID Connect providers. No other provider is trusted or fetched from."""

    providers: tuple[str, ...] = _key(
        (), "OpenID Connect providers, one word each. Each needs `oidc.<provider>.issuer`, `.client_id` and `.domains`."
    )
    configured: tuple[ProviderSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Limits of connections and requests, which protect against hostile and faulty clients."""

    origins: tuple[str, ...] = _key((), "Origins besides the audience whose pages and apps may open a channel.", check=_origins)
    trusted_proxies: tuple[str, ...] = _key(
        (), "Addresses or networks of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are used.", check=_networks
    )
    sockets: int = _key(20000, "Open connections of one process.", low=10, high=1000000)
    unsigned_per_address: int = _key(20, "Channels of one address that have not signed in.", low=1, high=100000)
    accept_rate: float = _key(200.0, "New channels, per second.", low=1, high=100000)
    accept_burst: int = _key(
        500, "New channels at once, including those that are signing in; beyond, 503 with Retry-After.", low=1, high=100000
    )
    plain_per_address: int = _key(
        1000, "Connections of one address that are not channels; beyond, its oldest idle one is closed.", low=1, high=1000000
    )
    request_rate: float = _key(300.0, "HTTP requests of one address, per second.", low=1, high=1000000)
    request_burst: int = _key(1000, "HTTP requests of one address at once; beyond, 429.", low=1, high=1000000)
    connection_request_rate: float = _key(
        100.0, "HTTP requests on one connection, except a trusted proxy's, per second.", low=1, high=1000000
    )
    connection_request_burst: int = _key(300, "HTTP requests on one connection at once; beyond, 429.", low=1, high=1000000)
    failures_per_minute: int = _key(
        10, "Failures of the same proof or key at one address; ten times as many of different ones.", low=1, high=100000
    )
    registrations_per_hour: int = _key(60, "Applications registered from one address.", low=1, high=100000)
    handshake_seconds: int = _key(10, "A request that is not complete within this is answered with 408.", low=1, high=120)
    sign_in_seconds: int = _key(10, "A channel that has not signed in within this is closed with 4009.", low=1, high=120)
    send_seconds: int = _key(5, "A peer that reads nothing for this long is disconnected.", low=1, high=120)
    close_seconds: int = _key(2, "How long the service waits for a close frame.", low=1, high=30)
    idle_seconds: int = _key(
        60, "A channel whose frame is incomplete for this long is closed; so is an HTTP connection without progress.", low=5, high=600
    )
    device_frame_bytes: int = _key(16384, "Largest message of a device.", low=1024, high=16777216)
    device_frame_rate: float = _key(20.0, "Frames of a device, per second.", low=1, high=1000000)
    device_frame_burst: int = _key(60, "Frames of a device at once; beyond, 1008.", low=1, high=1000000)
    appservice_frame_bytes: int = _key(131072, "Largest message of an app service.", low=1024, high=16777216)
    appservice_frame_rate: float = _key(200.0, "Frames of an app service, per second.", low=1, high=1000000)
    appservice_frame_burst: int = _key(400, "Frames of an app service at once; beyond, 1008.", low=1, high=1000000)
    fragments: int = _key(64, "Fragments of one message; beyond, 1008.", low=1, high=1000000)
    bad_frames: int = _key(20, "Bad frames in 60 seconds; at this number, 4013.", low=1, high=10000)
    outbox_bytes: int = _key(1048576, "Bytes waiting for a slow reader; beyond, 4102.", low=65536, high=1073741824)
    outbox_frames: int = _key(1000, "Frames waiting for a slow reader; beyond, 4102.", low=10, high=1000000)
    body_bytes: int = _key(131072, "Largest body of a REST call.", low=1024, high=16777216)


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """Fetching the domain proof, the only URL of a user's choice that is fetched (docs/protocol.md, section 6)."""

    timeout_seconds: float = _key(5.0, "Maximum duration of a fetch of a domain proof.", low=1, high=30)
    body_bytes: int = _key(1024, "Largest response to a fetch of a domain proof.", low=64, high=65536)
    proofs_per_hour: int = _key(10, "Domain proofs of one application that its developer requests.", low=1, high=100000)
    http_proof: bool = _key(True, "Try plain http if port 443 refuses the connection.")
    allow_networks: tuple[str, ...] = _key(
        (), "Networks that are not public but from which proofs may be fetched, such as a company's own.", check=_networks
    )
    ca_file: str = _key("", "File with certificate authorities, PEM, that are trusted for a proof besides the system's.")
    allow_loopback: bool = _key(False, "Let `localhost:<port>` and `127.0.0.1:<port>` be domains, fetched by http: development only.")


def _emails(values: tuple[str, ...]) -> str | None:
    whole = all(re.fullmatch(r"[!-?A-~]+@[a-zA-Z0-9.-]+", value) for value in values)
    return None if whole else "e-mails with spaces between them"


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Access to the figures of the service (docs/protocol.md, section 6, For operators)."""

    emails: tuple[str, ...] = _key((), "E-mails whose accounts may open `/admin`; empty: nobody.", check=_emails)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of ``[app:main]``, with one field per concern."""

    storage: StorageSettings = StorageSettings()
    redis: RedisSettings = RedisSettings()
    redis_mailbox: RedisMailboxSettings = RedisMailboxSettings()
    presence: PresenceSettings = PresenceSettings()
    identity: IdentitySettings = IdentitySettings()
    browserid: BrowserIDSettings = BrowserIDSettings()
    oidc: OidcSettings = OidcSettings()
    channels: ChannelSettings = ChannelSettings()
    outbound: OutboundSettings = OutboundSettings()
    admin: AdminSettings = AdminSettings()


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of ``[server:main]``."""

    host: str = _key("127.0.0.1", "Address to listen on.")
    port: int = _key(8282, "Port to listen on; 0: any free port.", low=0, high=65535)
    workers: int = _key(1, "Processes; more than one needs a tracker in Redis.", low=1, high=256)
    certfile: str = _key("", "TLS certificate chain, PEM; empty: plain http.")
    keyfile: str = _key("", "TLS key, PEM.")

    def check(self) -> None:
        """Refuse a certificate without a key, and a key without a certificate."""
        refuse(bool(self.certfile) != bool(self.keyfile), "certfile", self.certfile, "set together with keyfile")
