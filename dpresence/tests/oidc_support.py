"""An OpenID provider of a few lines on loopback, with keys and mistakes of a test's choice."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext, create_default_context
from typing import Any
from urllib.parse import parse_qsl

from joserfc.jwk import Key, generate_key
from joserfc.jws import JWSRegistry

from dpresence.clock import Clock

CLIENT = "dpresence"


@cache
def _key(kind: str, number: int) -> Key:
    size = {"RSA": 2048, "EC": "P-256", "OKP": "Ed25519"}[kind]
    return generate_key(kind, size)


def key(kind: str, number: int = 0) -> Key:
    """Return a private key, made once: RSA, EC or OKP."""
    return _key(kind, number)


@cache
def trust() -> SSLContext:
    """Return the system's trust store, read once: reading it takes longer than most tests."""
    return create_default_context()


def jwk(kind: str, kid: str | None, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return a public key as an issuer publishes it."""
    return {**key(kind, number).as_dict(private=False), **({"kid": kid} if kid else {}), "use": "sig", **more}


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(part: str) -> bytes:
    """Return the bytes behind a part of a token."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def part(value: Any) -> str:
    return text(value if isinstance(value, bytes) else json.dumps(value).encode())


def sign(header: Any, payload: Any, signing: Key | bytes | None, model: str = "") -> str:
    """Return a token; ``payload`` may be any bytes, and ``model`` another algorithm than the header says.

    :param signing: bytes for a shared secret, None for no signature.
    """
    signed = f"{part(header)}.{part(payload)}"
    if signing is None:
        return f"{signed}."
    if isinstance(signing, bytes):
        return f"{signed}.{text(hmac.digest(signing, signed.encode(), hashlib.sha256))}"
    name = model or header.get("alg", "RS256")
    return f"{signed}.{text(JWSRegistry.algorithms['Ed25519' if name == 'EdDSA' else name].sign(signed.encode(), signing))}"


class TinyProvider:
    """The provider.

    :ivar keys: what it publishes.
    :ivar discovery: what its discovery document says otherwise.
    :ivar script: path -> a function that answers in place of the provider, given the handler.
    :ivar tokens: what its token endpoint answers: status and JSON.
    :ivar profile: its userinfo.
    :ivar asked: how often each path was asked for.
    :ivar forms: what its token endpoint was sent, headers and form.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.keys: list[dict[str, Any]] = [jwk("RSA", "rsa-1"), jwk("EC", "ec-1"), jwk("OKP", "okp-1")]
        self.discovery: dict[str, Any] = {}
        self.script: dict[str, Callable[[Any], None]] = {}
        self.tokens: tuple[int, Any] = (400, {"error": "invalid_grant"})
        self.profile: Any = {}
        self.asked: Counter[str] = Counter()
        self.forms: list[tuple[dict[str, str], dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def fetches(self) -> int:
        """Number of requests for its keys."""
        return self.asked["/jwks"]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return good claims; None takes one away."""
        now = self._clock.now() // 1000
        good = {
            "iss": self.issuer, "sub": "ada-1", "aud": CLIENT, "iat": now, "exp": now + 3600,
            "email": "ada@Example.org", "email_verified": True, **changed,
        }  # fmt: skip
        return {name: value for name, value in good.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, number: int = 0, **changed: Any) -> str:
        """Return an ID token, by RS256 unless the header says otherwise."""
        return self._signed(header or {}, number, self.claims(**changed))

    @staticmethod
    def _signed(header: dict[str, Any], number: int, claims: dict[str, Any]) -> str:
        head = {"alg": "RS256", "kid": "rsa-1", **header}
        kind = {"RS256": "RSA", "ES256": "EC"}.get(head["alg"], "OKP")
        return sign({name: value for name, value in head.items() if value is not None}, claims, key(kind, number))

    def logout_claims(self, **changed: Any) -> dict[str, Any]:
        """Return good claims of a logout token; None takes one away."""
        now = self._clock.now() // 1000
        event = {"http://schemas.openid.net/event/backchannel-logout": {}}
        good = {
            "iss": self.issuer, "sub": "ada-1", "aud": CLIENT, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8), "sid": "sid-1",
            "events": event, **changed,
        }  # fmt: skip
        return {name: value for name, value in good.items() if value is not None}

    def logout_token(self, header: dict[str, Any] | None = None, number: int = 0, **changed: Any) -> str:
        """Return a logout token, by RS256 unless the header says otherwise."""
        return self._signed({"typ": "logout+jwt", **(header or {})}, number, self.logout_claims(**changed))

    @staticmethod
    def parsed(token: str) -> dict[str, Any]:
        """Return the claims of a token."""
        return dict(json.loads(raw(token.split(".")[1])))

    def give(self, **claims: Any) -> None:
        """Let the token endpoint give an ID token with these claims."""
        self.tokens = (200, {"id_token": self.token(**claims), "access_token": "access", "token_type": "Bearer"})

    # -- what it answers

    def answer(self, path: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            urls = {
                "authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/jwks", "userinfo_endpoint": "/me",
            }  # fmt: skip
            urls = {name: self.issuer + url for name, url in urls.items()}
            return 200, {"issuer": self.issuer, **urls, **self.discovery}
        if path == "/jwks":
            return 200, {"keys": self.keys}
        if path == "/token":
            self.forms.append((headers, dict(parse_qsl(body))))
            return self.tokens
        if path == "/me":
            return (200, self.profile) if headers.get("Authorization") == "Bearer access" else (401, {})
        return 404, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked[self.path] += 1
                if self.path in provider.script:
                    provider.script[self.path](self)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                status, answer = provider.answer(self.path, dict(self.headers), body)
                self.reply(status, json.dumps(answer).encode())

            do_POST = do_GET

            def reply(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
