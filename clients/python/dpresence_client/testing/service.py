"""A development service in a process of its own, in a folder of its own."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import List, Mapping, Type

from ..errors import PresenceError
from .people import Application, Person, register
from .proof import ProofServer

START_SECONDS = 90.0
STOP_SECONDS = 30.0
_INI = """[app:main]
use = egg:dpresence
directory.url = sqlite:///%(here)s/development.db
identity.audience = http://127.0.0.1:{port}
identity.development = true
identity.development_token = {token}
outbound.allow_loopback = true
{settings}
[server:main]
use = egg:dpresence
host = 127.0.0.1
port = {port}

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = line

[logger_root]
level = WARNING
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = line

[formatter_line]
class = dpresence.logs.LineFormatter
format = %(asctime)s %(levelname)s %(name)s %(message)s
"""


class DevelopmentService:
    """A service on a free port of this machine, with the development issuer; a context that stops it.

    :param folder: for its ini, database and log.
    :param settings: keys of ``[app:main]`` that differ, such as ``{"presence.grace_seconds": "1"}``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(24)
        self._settings = "".join(f"{key} = {value}\n" for key, value in (settings or {}).items())
        self._process: subprocess.Popen[bytes] | None = None
        self._proofs: List[ProofServer] = []
        self.url = ""

    def __enter__(self) -> DevelopmentService:
        self.start()
        return self

    def __exit__(self, kind: Type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the service, or start it again on the same port and database.

        :raises PresenceError: it did not start; the text contains its log.
        """
        if not self.url:
            self.url = f"http://127.0.0.1:{_free_port()}"
        port = self.url.rpartition(":")[2]
        ini = self.folder / "testing.ini"
        ini.write_text(_INI.format(port=port, token=self.token, settings=self._settings), encoding="utf-8")
        pserve = Path(sys.executable).with_name("pserve")
        if not pserve.exists():
            raise PresenceError('the service is not installed here: pip install "dpresence-client[testing]"')
        command = [str(pserve), "-q", str(ini)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - of this environment
        self._wait_until_it_answers(int(port))

    def _wait_until_it_answers(self, port: int) -> None:
        until = time.monotonic() + START_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise PresenceError(f"the service did not start:\n{self.log()}")

    def stop(self) -> None:
        """Stop the service. It can be called again."""
        for proof in self._proofs:
            proof.close()
        self._proofs = []
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            finally:
                self.kill()

    def kill(self) -> None:
        """End the service as ``kill -9`` does; ``start`` starts it again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """Return everything that the service has logged."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def person(self, email: str) -> Person:
        """Return a user; any address works."""
        return Person(self.url, email, self.token)

    def application(self, name: str = "Chess club", owner: str = "developer@example.org") -> Application:
        """Return a new active application."""
        proof = ProofServer()
        self._proofs.append(proof)
        return register(self.person(owner), name, proof)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
