"""A push service on loopback and a browser that has subscribed to it: they check and decrypt what they are sent."""

from __future__ import annotations

import json
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from dpresence.push.vapid import renewed


def key_file(folder: Any) -> str:
    """Write the keys of a service; return the path."""
    file = folder / "presence-vapid.pem"
    file.write_text(renewed(""))
    file.chmod(0o600)
    return str(file)


class PushBrowser:
    """A browser's subscription.

    :ivar received: the contents of the pushes, and the headers of each under ``headers``.
    :ivar answers: what the service answers next, as (status, headers); 201 when it is empty. ``None`` in place of a pair: no answer.
    """

    def __init__(self, service: PushService, name: str) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._auth = secrets.token_bytes(16)
        self.path = f"/{name}"
        self.endpoint = f"{service.origin}{self.path}"
        self.received: list[dict[str, Any]] = []
        self.answers: list[Any] = []

    def body(self, key: str, label: str | None = "Chrome") -> dict[str, Any]:
        """Return the body of ``PUT /push``."""
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _text(point), "auth": _text(self._auth)}
        return {"endpoint": self.endpoint, "keys": keys, "key": key, "label": label}

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Receive a push, as the browser would."""
        content = http_ece.decrypt(body, private_key=self._private, auth_secret=self._auth, version="aes128gcm")
        self.received.append({**json.loads(content), "headers": headers, "size": len(content)})

    @property
    def messages(self) -> list[str]:
        """The texts that were received."""
        return [one.get("message", "") for one in self.received]


class PushService:
    """The push service of all browsers."""

    def __init__(self) -> None:
        self.browsers: dict[str, PushBrowser] = {}
        self.hanging = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                browser = service.browsers[self.path]
                answer = browser.answers.pop(0) if browser.answers else (201, {})
                if answer is None:
                    service.hanging.wait(30)
                    return
                claims = json.loads(_bytes(self.headers["Authorization"].partition("t=")[2].split(".")[1]))
                assert Vapid02.verify(self.headers["Authorization"]) and claims["aud"] == service.origin
                if answer[0] == 201:
                    browser.take(dict(self.headers), body)
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def browser(self, name: str = "one") -> PushBrowser:
        """Return a new browser."""
        made = self.browsers[f"/{name}"] = PushBrowser(self, name)
        return made

    def close(self) -> None:
        """Stop."""
        self.hanging.set()
        self._server.shutdown()
        self._server.server_close()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(f"{text}==")
