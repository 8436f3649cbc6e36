"""``presence-cluster.ini`` as a process with several workers, on a real Redis and PostgreSQL, and who signs in to it.

There is no development issuer where there are several processes, so people bring the bundles of a BrowserID issuer of ours.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from sqlalchemy import update

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import applications
from dpresence.demo import free_port
from dpresence.tests import browserid_support as browserid
from dpresence.tests.contract import postgresql, redis
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import Application, Channel, Person
from .service import PSERVE, Process

ROOT = Path(__file__).parents[3]
URLS = ("directory.url = postgresql+psycopg://dpresence@127.0.0.1:5432/dpresence", "redis.url = redis://127.0.0.1:6379/0")
DOMAIN = "chess.example.org"


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """A Redis and a PostgreSQL of our own, as replacements of the ini's two lines."""
    database = postgresql.Server()
    try:
        with redis.running(fsync="always") as tracker:
            yield dict(zip(URLS, (f"directory.url = {database.make_database('live')}", f"redis.url = {tracker.url}"), strict=True))
    finally:
        database.remove()


def issuer(folder: Path) -> dict[str, str]:
    """Return replacements of lines that let people in who have a bundle of ``browserid_support``'s issuer."""
    file = folder / "issuer.json"
    file.write_text(json.dumps(browserid.key("issuer").public), encoding="utf-8")
    names = {
        "browserid.issuers": browserid.ISSUER,
        f"browserid.{browserid.ISSUER}.keys": file,
        f"browserid.{browserid.ISSUER}.domains": "*",
    }
    return {
        "identity.verifiers =": "identity.verifiers = browserid",
        "browserid.issuers =": "\n".join(f"{key} = {value}" for key, value in names.items()),
    }


class Cluster(Process):
    """``pserve presence-cluster.ini``, a copy of it on another port; ``changes`` replace whole lines.

    :param source: folder of the ini.
    """

    def __init__(self, folder: Path, changes: Mapping[str, str], source: Path = ROOT) -> None:
        port = free_port()
        text = (source / "presence-cluster.ini").read_text(encoding="utf-8").replace("8282", str(port))
        for line, changed in changes.items():
            line = line.replace("8282", str(port))
            assert f"\n{line}\n" in text, line
            text = text.replace(f"\n{line}\n", f"\n{changed}\n")
        self.ini = folder / "presence-cluster.ini"
        self.ini.write_text(text, encoding="utf-8")
        super().__init__([str(PSERVE), "-q", str(self.ini)], folder / "log", port)
        self.count = int(re.findall(r"^workers = (\d+)$", text, re.MULTILINE)[0])
        self.database = re.findall(r"^directory\.url = (.*)$", text, re.MULTILINE)[0]

    def workers(self) -> list[int]:
        """Return the pids of its children, the oldest first."""
        return list(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    def ready(self) -> set[int]:
        """Return the pids of those workers that have said so and are there."""
        return {int(pid) for pid in re.findall(r"Worker (\d+) is ready", self.log())} & set(self.workers())

    def start(self) -> float:
        """Start and wait until every worker is ready."""
        at = super().start()
        eventually(lambda: self.count == 1 or len(self.ready()) == self.count, 240)
        return at

    def worker_of(self, channel: Channel) -> int:
        """Return the pid of the worker that has the other end of a channel."""
        local = f":{channel.socket.socket.getsockname()[1]:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        (inode,) = [row[9] for row in rows if row[2].endswith(local) and row[1].endswith(f":{self.port:04X}")]
        return next(pid for pid in self.workers() if f"socket:[{inode}]" in _files(pid))


def _files(pid: int) -> set[str]:
    folder = Path(f"/proc/{pid}/fd")
    return {os.readlink(folder / name) for name in os.listdir(folder)}


class Citizen(Person):
    """A person with a bundle for each call."""

    def assertion(self) -> str:
        now = int(time.time() * 1000)
        user = browserid.key("user")
        certified = browserid.certificate(iat=now - 1000, exp=now + browserid.HOUR, principal={"email": self.email}, user_key=user.public)
        return f"{certified}~{browserid.assertion(aud=self.origin, exp=now + 2 * browserid.MINUTE)}"


def activate(owner: Person, database: str) -> Application:
    """Register an application and activate it; that its domain is proven is written into the database."""
    made = owner.call("POST", "/myapps", {"name": "Chess club", "domain": DOMAIN, "description": ""}, 201)
    proven = {applications.c.validated_scheme: "https", applications.c.check_at: int(time.time() + 86400) * 1000}
    stored = Database(database)
    try:  # only these columns: the database may be one of the previous version
        stored.run(lambda connection: connection.execute(update(applications).where(applications.c.id == made["appid"]).values(proven)))
    finally:
        stored.close()
    key = owner.call("POST", f"/myapps/{made['appid']}/activate")["api_key"]
    return Application(owner.origin, made["appid"], key, owner, DOMAIN)


def answers(origin: str) -> bool:
    """Return whether all backends answer to the service."""
    return requests.get(f"{origin}/__heartbeat__", timeout=PATIENCE_SECONDS).status_code == 200
