"""A process that fetches domain proofs, patched as the server is: deadlines are those of gevent and need cooperative sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

from dpresence.errors import ProofFailed
from dpresence.proofs import DomainProofs
from dpresence.settings import OutboundSettings
from dpresence.tests.support import body_of

DOMAIN = "app.example.org"
PATIENT, SECONDS = 5.0, 0.3  # for what answers, and for what never does
LOOPBACK = ("127.0.0.1", "::1")


def serve_fetches() -> None:
    """Fetch as the lines of stdin say; ``answers`` are those of one lookup after the other, ``public`` the addresses let through."""
    for line in sys.stdin:
        wanted = json.loads(line)
        lookups = []

        def resolve(domain, port, type, lookups=lookups, answers=wanted["answers"]):
            lookups.append(domain)
            return found(*answers[min(len(lookups), len(answers)) - 1])

        settings = OutboundSettings(**wanted["settings"])
        outbound = DomainProofs(settings, resolve=resolve, is_public=wanted["public"].__contains__, ports=wanted["ports"])
        started = time.monotonic()
        try:
            body, how = outbound.fetch(wanted["domain"])
            result = {"body": body, "how": how}
        except ProofFailed as failed:
            result = body_of(failed)
        print(json.dumps({"result": result, "seconds": time.monotonic() - started, "lookups": len(lookups)}), flush=True)


def found(*addresses: str) -> list[tuple]:
    """Return addresses in the form of ``socket.getaddrinfo``."""
    return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in addresses]


class Fetcher:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, https: int, http: int, *, domain=DOMAIN, answers=(("127.0.0.1",),), **settings) -> dict:
        """Fetch with the ports given; 127.0.0.1 and ::1 count as public."""
        settings = {"timeout_seconds": PATIENT, **settings}
        wanted = {"domain": domain, "answers": answers, "public": LOOPBACK, "ports": (https, http), "settings": settings}
        print(json.dumps(wanted), file=self.process.stdin, flush=True)
        done = json.loads(self.process.stdout.readline())
        assert done["seconds"] < settings["timeout_seconds"] + 0.5
        return done

    def result(self, https: int, http: int, **options) -> dict:
        return self(https, http, **options)["result"]


if __name__ == "__main__":
    serve_fetches()
