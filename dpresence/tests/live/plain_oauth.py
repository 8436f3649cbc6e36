"""A server of plain OAuth 2.0 in the shape of GitHub's: an opaque token, and an API that says whose it is; no ID token and no discovery."""

from __future__ import annotations

import json
import secrets
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit


class PlainOAuth:
    """The server; whoever comes to its authorization page is signed in as ``person`` and consents.

    :ivar person: what its API says of the person.
    """

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.person: dict[str, Any] = {"id": 583231, "login": "octo-ada", "email": None}
        self._client = (client_id, client_secret)
        self._codes: set[str] = set()
        self._tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _authorize(self, query: dict[str, str]) -> str:
        code = secrets.token_hex(10)
        self._codes.add(code)
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def _token(self, form: dict[str, str], client: tuple[str, str]) -> dict[str, str]:
        if form.get("code") not in self._codes or client != self._client:
            return {"error": "bad_verification_code"}
        self._codes.discard(form["code"])
        token = f"gho_{secrets.token_hex(18)}"
        self._tokens.add(token)
        return {"access_token": token, "scope": "read:user", "token_type": "bearer"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/login/oauth/authorize":
                    self.send_response(302)
                    self.send_header("Location", server._authorize(dict(parse_qsl(parts.query))))
                    self.end_headers()
                elif parts.path == "/user":
                    scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                    known = scheme.lower() in ("bearer", "token") and token in server._tokens
                    self.reply(*((200, server.person) if known else (401, {"message": "Bad credentials"})))
                else:
                    self.reply(404, {"message": "Not Found"})

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()))
                client, _, secret = b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")
                self.reply(200, server._token(form, (client or form.get("client_id", ""), secret or form.get("client_secret", ""))))

            def reply(self, status: int, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
