"""JSON Web Tokens of OpenID Connect providers: parsing, and verification of a signature (RFC 7515, RFC 7519)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import Key

from ..errors import InvalidAssertion

MAX_CHARACTERS = 8192
FORM = re.compile(r"[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)


class _Registry(jws.JWSRegistry):
    """joserfc's limits and algorithms for ID tokens. ``EdDSA`` means Ed25519; RFC 9864 deprecates that name."""

    max_header_length = max_signature_length = MAX_CHARACTERS

    def get_alg(self, name: str) -> Any:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


REGISTRY = _Registry(algorithms=("RS256", "ES256", "Ed25519"), strict_check_header=False)


class Header(msgspec.Struct):
    """The used parameters of a token's header."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: list[str] | None = None


class CommonClaims(Protocol):
    """The claims that every token of a provider has; times are seconds since the epoch."""

    iss: str
    aud: str | tuple[str, ...]
    iat: float
    nbf: float | None


C = TypeVar("C", bound=CommonClaims)


class Claims(msgspec.Struct):
    """The used claims of an ID token."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nbf: float | None = None
    azp: str | None = None
    nonce: str | None = None
    typ: str | None = None
    sid: str | None = None
    events: Any = None
    email: str | None = None
    email_verified: bool | str | None = None
    hd: str | None = None


class Profile(msgspec.Struct):
    """A userinfo response (OpenID Connect Core 1.0, 5.3)."""

    sub: str
    email: str | None = None
    email_verified: bool | str | None = None
    hd: str | None = None


@dataclass(frozen=True, slots=True)
class Token(Generic[C]):
    """A parsed token that has not been verified."""

    text: str
    header: Header
    claims: C

    @property
    def typ(self) -> str:
        """Type of the token in lower case, "jwt" if its header has none."""
        return (self.header.typ or "JWT").lower()


def parse(text: str) -> Token[Claims]:
    """Parse an ID token; see ``parse_as``."""
    return parse_as(text, Claims)


def parse_as(text: str, kind: type[C]) -> Token[C]:
    """Parse a JWS in compact serialization (RFC 7515, 7.1).

    :param kind: its claims.
    :raises InvalidAssertion: the text is not a JWS, or does not have these claims; ``crit`` is refused, as it changes how the rest is read.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidAssertion("too_long")
    if not FORM.fullmatch(text):
        raise InvalidAssertion("malformed")
    try:
        token = jws.extract_compact(text.encode("ascii"), registry=REGISTRY)
        header = msgspec.convert(token.protected, Header)
        if header.crit is not None:
            raise InvalidAssertion("type")
        return Token(text, header, msgspec.json.decode(token.payload or b"", type=kind))
    except (JoseError, ValueError, msgspec.DecodeError, RecursionError):
        raise InvalidAssertion("malformed") from None


def audiences_of(claims: CommonClaims) -> Sequence[str]:
    """Return the clients that a token is for."""
    return (claims.aud,) if isinstance(claims.aud, str) else claims.aud


def verified(token: Token[C], key: Key) -> C:
    """Verify the signature of a token and return its claims.

    :raises InvalidAssertion: with ``reason`` signature or malformed.
    """
    try:
        return msgspec.convert(jwt.decode(token.text, key, registry=REGISTRY).claims, type(token.claims))
    except BadSignatureError:
        raise InvalidAssertion("signature") from None
    except (JoseError, ValueError, msgspec.DecodeError, RecursionError):
        raise InvalidAssertion("malformed") from None
