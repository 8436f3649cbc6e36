"""``make load``: puts devices, an application and updates on a development service that runs on this machine, and prints what it took.

It uses only what every client uses: the development issuer, REST and both channels. It speaks to loopback only, and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dpresence_client import PresenceError
from dpresence_client.testing.people import Application, Person, register
from dpresence_client.testing.proof import ProofServer

from .files import allow_open_files
from .load import Load

MOST_DEVICES, MOST_SECONDS = 5000, 600
SETTLE_TURNS = 100
NAMES = {
    "devices": "devices signed in",
    "sign_in_p50_ms": "sign-in, median ms",
    "sign_in_p99_ms": "sign-in, p99 ms",
    "updates_per_second": "updates answered per second",
    "answer_p50_ms": "answer, median ms",
    "answer_p99_ms": "answer, p99 ms",
    "delivered": "updates that reached the application",
    "answered": "updates answered OK",
    "refused": "refusals by errno",
    "ends": "lost connections by close code",
}


def port_of(url: str) -> int:
    """Return the port of a service on this machine.

    :raises ValueError: it is elsewhere.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname != "127.0.0.1":
        raise ValueError("--service: a development service on this machine, such as http://127.0.0.1:8282")
    return parts.port or 80


def people(url: str, token: str, count: int, application: Application) -> Iterator[list[str]]:
    """Yield address and assertion of people who let the application see them."""
    for number in range(count):
        person = Person(url, f"load{number}@example.org", token)
        person.grant(application)
        yield [person.email, person.credentials() or ""]


def run(url: str, token: str, devices: int, rate: float, seconds: float) -> dict[str, Any]:
    """Load the service; return the figures."""
    port = port_of(url)
    with closing(ProofServer()) as proof, Load() as load:
        application = register(Person(url, "load-developer@example.org", token), "Load", proof)
        load.do("watch", port=port, appid=application.appid, key=application.key)
        came: dict[str, Any] = {}
        sign_ins: list[dict[str, Any]] = []
        batch: list[list[str]] = []
        for number, person in enumerate(people(url, token, devices, application), 1):
            batch.append(person)  # an assertion is valid for two minutes
            if len(batch) == 100 or number == devices:
                came = load.do("devices", port=port, people=batch, seconds=60)
                sign_ins.append(came["sign_in"])
                batch = []
        for _ in range(SETTLE_TURNS):  # until the application has received every sign-in, which is an update too
            if load.do("wait", seconds=0.2)["view"].get("online", 0) >= came["signed_in"]:
                break
        updated = load.do("rate", seconds=seconds, per_second=rate)
        after = load.do("report")
        load.do("leave")
    return {
        "devices": came["signed_in"],
        "sign_in_p50_ms": sorted(one["p50_ms"] or 0 for one in sign_ins)[len(sign_ins) // 2],
        "sign_in_p99_ms": max(one["p99_ms"] or 0 for one in sign_ins),
        "updates_per_second": round(updated["answered"] / updated["seconds"], 1),
        "answer_p50_ms": updated["p50_ms"],
        "answer_p99_ms": updated["p99_ms"],
        "delivered": updated["delivered"],
        "answered": updated["answered"],
        "refused": after["refused"],
        "ends": after["ends"],
    }


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__.partition("\n")[0])
    found.add_argument("--service", metavar="URL", default="http://127.0.0.1:8282", help="a service on this machine (%(default)s)")
    found.add_argument("--token-file", type=Path, default=Path("development.token"), help="its development token (%(default)s)")
    found.add_argument("--devices", type=int, default=200, help=f"one of each person, 1 to {MOST_DEVICES} (%(default)s)")
    found.add_argument(
        "--rate", type=float, default=100, help="updates per second over all devices; up to one a second of each (%(default)s)"
    )
    found.add_argument("--seconds", type=float, default=10, help=f"how long updates are sent, up to {MOST_SECONDS} (%(default)s)")
    found.add_argument("--json", action="store_true", help="write one JSON object")
    return found


def main() -> int:
    """Read the options, load, print."""
    given = parser().parse_args()
    try:
        if not (0 < given.devices <= MOST_DEVICES and 0 < given.seconds <= MOST_SECONDS and 0 < given.rate <= given.devices):
            raise ValueError("--devices, --seconds or --rate is not in its range; see --help")
        allow_open_files()
        token = given.token_file.read_text(encoding="utf-8").strip()
        figures = run(given.service, token, given.devices, given.rate, given.seconds)
    except (PresenceError, ValueError, OSError) as error:
        sys.stderr.write(f"bench.service: {error}\n")
        return 1
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{NAMES[name]:38} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
