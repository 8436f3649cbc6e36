"""Registers an example as an application at a development service, and writes what it needs to presence.json.

    python3 examples/register.py localhost:5000 examples/flask

A developer does the same on the page /myapps of a service: register, have the domain answer the domain key, validate, activate.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def call(url: str, body: Any, headers: dict[str, str], method: str = "POST") -> Any:
    """Make a REST call; return its answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {json.load(error)['error']}") from None
    except OSError as error:
        raise SystemExit(f"{url} does not answer ({error}): is `make run` running?") from None


def serve_once(port: int, text: str) -> HTTPServer:
    """Serve a text on a port of this machine, as the domain of the application does later."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    try:
        server = HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise SystemExit(f"port {port}: {error.strerror}; stop the example first, or choose another port") from None
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def register(service: str, token: str, name: str, domain: str, webhook: str = "") -> dict[str, str]:
    """Register, validate and activate an application; return what its service needs.

    :param webhook: path of a webhook on the domain; "" for none.
    """

    def developer(path: str, body: Any = None, method: str = "POST") -> Any:
        proof = call(f"{service}/__dev__/assertion", {"email": "dev@example.org"}, {"X-Development-Token": token})
        return call(service + path, body or {}, {"Authorization": f"BrowserID {proof['assertion']}"}, method)

    made = developer("/myapps", {"name": name, "domain": domain, "description": "An example"})
    site = serve_once(int(domain.rpartition(":")[2]), made["domain_key"])
    developer(f"/myapps/{made['appid']}/validate")
    site.shutdown()
    site.server_close()
    key = developer(f"/myapps/{made['appid']}/activate")["api_key"]
    made |= {"service": service, "key": key, "session_secret": secrets.token_urlsafe(32)}
    if webhook:
        hook = developer(f"/myapps/{made['appid']}/webhook", {"url": f"http://{domain}{webhook}", "events": ["presence", "outcome"]}, "PUT")
        made["webhook_secret"] = hook["secret"]
    names = ("service", "appid", "key", "domain", "domain_key", "session_secret", "webhook_secret")
    return {name: made[name] for name in names if name in made}


def main() -> None:
    """Read the arguments, register, and write presence.json, which only its owner can read, as it contains the API key."""
    parser = argparse.ArgumentParser(description="Register an example as an application at a development service.")
    parser.add_argument("domain", help="localhost and the port of the example, such as localhost:5000")
    parser.add_argument("folder", type=Path, help="where to write presence.json")
    parser.add_argument("--name", default="Chess club", help="default: %(default)s")
    parser.add_argument("--service", default="http://127.0.0.1:8282", help="default: %(default)s")
    parser.add_argument("--token-file", type=Path, default=ROOT / "development.token", help="default: that of `make run`")
    parser.add_argument("--webhook", default="", metavar="PATH", help="make a webhook at this path of the domain")
    options = parser.parse_args()
    if not options.token_file.exists():
        raise SystemExit(f"{options.token_file} does not exist: is `make run` running?")
    found = register(options.service, options.token_file.read_text(), options.name, options.domain, options.webhook)
    file = options.folder / "presence.json"
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as output:
        json.dump(found, output, indent=2)
    print(f"registered {options.domain} as the application {found['appid']}; its API key is in {file}")


if __name__ == "__main__":
    main()
