"""The keys by which push services know this service (RFC 8292)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ..errors import SettingError
from ..settings import Settings

CURVE = "P-256"
KEPT = 2
"""Keys in the file: the one for new subscriptions, and the one before it, for those that browsers have made with that."""
_ALLOWED = "must be a file with one or two private keys of P-256 as PEM; dpresence rotate vapid makes it"
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", re.DOTALL)
_TOKEN_SECONDS = 12 * 3600


class VapidKeys:
    """The keys, the newest first.

    :param subject: how a push service reaches the operator: a mailto or https URL; empty for none.
    :ivar public: the public key for new subscriptions, base64url.
    """

    def __init__(self, keys: Sequence[ECKey], subject: str) -> None:
        self._keys = {_public(key): key for key in keys}
        self._subject = {"sub": subject} if subject else {}
        self.public = next(iter(self._keys))

    def knows(self, public: str) -> bool:
        """Return whether a public key is one of these."""
        return public in self._keys

    def authorization(self, public: str, origin: str, now: int) -> str:
        """Return the header by which a push service knows this service.

        :param public: the key with which the browser has subscribed.
        :param origin: the origin of the push service.
        :param now: seconds since the epoch.
        """
        claims = {"aud": origin, "exp": now + _TOKEN_SECONDS, **self._subject}
        token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._keys[public], algorithms=["ES256"])
        return f"vapid t={token},k={public}"


def load_keys(settings: Settings) -> VapidKeys | None:
    """Return the keys of ``push.key_file``, None without that file.

    :raises SettingError: it cannot be read, or has no such keys.
    """
    try:
        text = Path(settings.push.key_file).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingError(f"push.key_file: {_ALLOWED} ({error.strerror})") from None
    except ValueError:
        raise SettingError(f"push.key_file: {_ALLOWED} (it is none)") from None
    return VapidKeys(_keys(text), subject(settings))


def renewed(text: str) -> str:
    """Return the content of a file with a new key, followed by the newest one of the content so far."""
    earlier = [found[0].strip() for found in _PEM.finditer(text)][: KEPT - 1]
    new = ECKey.generate_key(CURVE).as_pem(private=True).decode("ascii").strip()
    return "".join(f"{pem}\n" for pem in [new, *earlier])


def _keys(text: str) -> list[ECKey]:
    try:
        keys = [ECKey.import_key(found[0]) for found in _PEM.finditer(text)]
    except (JoseError, ValueError, TypeError):
        keys = []
    if not 1 <= len(keys) <= KEPT or not all(key.is_private and key.as_dict(private=False)["crv"] == CURVE for key in keys):
        raise SettingError(f"push.key_file: {_ALLOWED} (it has none)")
    return keys


def subject(settings: Settings) -> str:
    """Return the operator's contact if it is one, else the address of this service, if that is https."""
    pages, audience = settings.pages, settings.identity.audience
    if pages.contact and pages.contact_link.startswith(("mailto:", "https:")):
        return pages.contact_link
    return audience if audience.startswith("https:") else ""


def _public(key: ECKey) -> str:
    document = key.as_dict(private=False)
    point = b"\x04" + b"".join(urlsafe_b64decode(f"{document[name]}==") for name in ("x", "y"))
    return urlsafe_b64encode(point).rstrip(b"=").decode("ascii")
