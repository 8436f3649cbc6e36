"""Logouts that identity providers send (OpenID Connect Back-Channel Logout 1.0), and the keys of what they end."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass

from .model import digest_of


def provider_session(issuer: str, sid: str) -> str:
    """Return the key by which this service knows a session at an identity provider; it differs for each issuer."""
    return _key("sid", issuer, sid)


def provider_person(issuer: str, subject: str) -> str:
    """Return the key by which a stored logout names a person at an identity provider."""
    return _key("sub", issuer, subject)


def _key(*parts: str) -> str:
    return urlsafe_b64encode(digest_of("\n".join(parts))[:18]).decode()


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """A message of an identity provider that it has ended one of its sessions, or all sessions of a person.

    :param digest: identifies the message.
    :param sid: the issuer's identifier of the session; None for all sessions of ``subject``.
    :param subject: the issuer's identifier of the person; may be "" if there is a ``sid``.
    :param at: milliseconds; sign-ins that began until then have ended.
    :param expires_at: milliseconds; no proof that this logout has ended can be valid after that.
    """

    digest: bytes
    issuer: str
    sid: str | None
    subject: str
    at: int
    expires_at: int

    @property
    def key(self) -> str:
        """Key of the session or the person."""
        return provider_person(self.issuer, self.subject) if self.sid is None else provider_session(self.issuer, self.sid)
