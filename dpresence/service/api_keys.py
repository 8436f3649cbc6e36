"""API keys of applications, and the authentication of app services with them (docs/protocol.md, section 6)."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence

from ..backends.directory import Directory, Requester
from ..clock import Clock
from ..errors import InvalidKey, NotActive
from ..limits import RateLimit
from ..metrics import Metrics
from ..model import ApiKey, Application, digest_of
from ..model.looks import day_of
from ..settings import PresenceSettings
from .failed_sign_ins import FailedSignIns
from .grants import Grants

KEY_PREFIX = "dpk_"
_ID_LENGTH = 12
_KEY = re.compile(rf"{KEY_PREFIX}([A-Za-z0-9_-]{{{_ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})")


def generate_key(appid: str, now: int) -> tuple[ApiKey, str]:
    """Return a new API key as it is stored, and its text, which is not stored.

    :param now: milliseconds since the epoch.
    """
    key_id, secret = secrets.token_urlsafe(9), secrets.token_urlsafe(32)
    return ApiKey(key_id, appid, digest_of(secret), now), f"{KEY_PREFIX}{key_id}_{secret}"


def key_id(text: str) -> str:
    """Return the public part of a valid API key."""
    return text[len(KEY_PREFIX) :][:_ID_LENGTH]


class ApiKeys:
    """Service methods for API keys."""

    def __init__(
        self, directory: Directory, grants: Grants, failures: FailedSignIns, metrics: Metrics, settings: PresenceSettings, clock: Clock
    ) -> None:
        self._directory = directory
        self._metrics = metrics
        self._grants = grants
        self._failures = failures
        self._new_keys = RateLimit("too many new keys of this application", settings.keys_per_hour, 3600, clock)
        self._settings = settings
        self._clock = clock

    def list(self, application: Application) -> Sequence[ApiKey]:
        """Return an application's valid keys, newest first."""
        return self._directory.keys(application.id, self._clock.steady.now())

    def issue(self, application: Application, owner: Requester) -> str:
        """Return a new API key. The previous one remains valid for ``presence.key_overlap_seconds``.

        :raises NotActive: the application is not active.
        :raises SlowDown: too many keys were created for it.
        :raises SessionEnded: the requester's authentication is no longer valid.
        """
        if not application.active:
            raise NotActive()
        self._new_keys.charge(application.id)
        key, text = generate_key(application.id, self._clock.now())
        overlap = self._settings.key_overlap_seconds * 1000
        self._directory.add_key(key, self._clock.steady.now() + overlap, owner)
        return text

    def require_active(self, appid: str) -> Application:
        """Return an application whose app service may open a channel.

        :raises NotFound: there is no application with this id.
        :raises DomainNotValidated: its domain is not validated.
        :raises NotActive: it is not active.
        """
        return self._grants.grantable(appid)

    def authenticate(self, appid: str, text: str, address: str) -> Application:
        """Return the application that an API key belongs to.

        :raises InvalidKey: the key does not belong to this application, or the application does not exist.
        :raises DomainNotValidated: its domain is not validated.
        :raises NotActive: it is not active.
        :raises SlowDown: too many keys were invalid.
        """
        with self._metrics.sign_in("key"):
            return self._authenticate(appid, text, address)

    def _authenticate(self, appid: str, text: str, address: str) -> Application:
        now = self._clock.steady.now()
        match = _KEY.fullmatch(text)
        key = self._directory.key(match[1], now) if match else None
        digest = digest_of(match[2] if match else "")
        if not hmac.compare_digest(digest, key.secret_hash if key else bytes(32)) or key is None or key.appid != appid:
            self._failures.record(address, text)
            raise InvalidKey()
        self._record_use(key, now)
        return self.require_active(appid)

    def _record_use(self, key: ApiKey, now: int) -> None:
        day = day_of(now)
        if key.used_on != day:
            self._directory.touch_key(key.id, day)

    def check(self, appid: str, key_id: str) -> None:
        """Check that an app service may stay signed in with its key, and record the use of the key.

        :param key_id: see ``key_id``.
        :raises InvalidKey: the key is no longer valid.
        :raises Refused: see ``require_active``.
        """
        self.require_active(appid)
        now = self._clock.steady.now()
        key = self._directory.key(key_id, now)
        if key is None:
            raise InvalidKey()
        self._record_use(key, now)
