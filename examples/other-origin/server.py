"""The web site of another origin: serves the page, and gets an assertion for it from the development issuer of the service.

    python3 examples/other-origin/server.py development.token

In production, the assertion is the ID token that the site's own sign-in received, and the site gives each user their own.
"""

from __future__ import annotations

import functools
import json
import sys
import urllib.error
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SERVICE = "http://127.0.0.1:8282"
SITE = "localhost:8000"
EMAIL = "ada@example.org"


def assertion(token: str) -> str:
    """Return an assertion for the user of this site."""
    headers = {"Content-Type": "application/json", "X-Development-Token": token}
    request = urllib.request.Request(f"{SERVICE}/__dev__/assertion", json.dumps({"email": EMAIL}).encode(), headers)
    with urllib.request.urlopen(request, timeout=15) as answer:
        return str(json.load(answer)["assertion"])


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, and assertions to this page only."""

    def do_POST(self) -> None:
        if self.path != "/assertion":
            return self.send_error(404)
        if self.headers["Host"] != SITE or self.headers["Origin"] != f"http://{SITE}":
            return self.send_error(403)
        try:
            body = assertion(Path(sys.argv[1]).read_text()).encode()
        except urllib.error.HTTPError as error:
            return self.send_error(502, json.load(error)["error"])
        except OSError as error:
            return self.send_error(502, str(error))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: server.py TOKEN_FILE")
    page = functools.partial(Handler, directory=str(Path(__file__).with_name("page")))
    print(f"The page is at http://{SITE}")
    ThreadingHTTPServer(("127.0.0.1", int(SITE.partition(":")[2])), page).serve_forever()
