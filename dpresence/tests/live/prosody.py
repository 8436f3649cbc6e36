"""Debian's ``prosody``, a real XMPP server, as a process on loopback with a folder of its own; its users, and the bridge to it."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

from dpresence.demo import free_port
from dpresence.tests.live.clients import Application
from dpresence.tests.live.desktop import ROOT, Program
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

BRIDGE = ROOT / "examples" / "xmpp" / "bridge.py"
_addresses = runpy.run_path(str(BRIDGE.with_name("addresses.py")))
local_part, puid_of = _addresses["local_part"], _addresses["puid_of"]
USER = Path(__file__).with_name("xmpp_user.py")
SECRET, PASSWORD = "component secret", "correct horse"
COMPONENT = "presence.localhost"
USERS = ("ada", "bob")
_CONFIGURATION = """
run_as_root = true
pidfile = "{folder}/pid"
data_path = "{folder}/data"
certificates = "{folder}"
log = {{ info = "{folder}/log" }}
modules_enabled = {{ "roster", "saslauth", "disco", "presence", "message", "iq", "ping" }}
modules_disabled = {{ "s2s", "tls" }}
interfaces = {{ "127.0.0.1" }}
component_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
component_ports = {{ {component_port} }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
VirtualHost "localhost"
Component "{component}"
  component_secret = "{secret}"
"""
WATCHERS = "ada@localhost"
_BRIDGE = """
[xmpp]
jid = {component}
secret = {secret}
host = 127.0.0.1
port = {port}
watchers = {watchers}
[dpresence]
registered = presence.json
"""


def contact_of(puid: str) -> str:
    """Return the JID of a contact."""
    return f"{local_part(puid)}@{COMPONENT}"


class Prosody:
    """The server as a process; a context that ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        accounts = folder / "data" / "localhost" / "accounts"
        accounts.mkdir(parents=True)
        for name in USERS:
            (accounts / f"{name}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};')
        self.port, self.component_port = free_port(), free_port()
        values = {"folder": folder, "port": self.port, "component_port": self.component_port}
        (folder / "prosody.cfg.lua").write_text(_CONFIGURATION.format(component=COMPONENT, secret=SECRET, **values))

    def __enter__(self) -> Prosody:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it listens."""
        before = self._listens()
        command = ["prosody", "-F", "--config", str(self._folder / "prosody.cfg.lua")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        eventually(lambda: self._listens() > before)

    def _listens(self) -> int:
        log = self._folder / "log"
        return log.read_text().count(f"Activated service 'c2s' on [127.0.0.1]:{self.port}") if log.exists() else 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def user(self, name: str) -> User:
        """Return a user who has signed in."""
        return User(name, self.port)


class User(Program):
    """A user who has signed in; a context that ends it."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__([sys.executable, str(USER), f"{name}@localhost", PASSWORD, str(port)])
        self._seen: list[dict[str, Any]] = []
        while (found := self._next()) != {"ready": True}:
            self._seen.append(found)

    def _next(self) -> dict[str, Any]:
        while not (line := self.line()).startswith("{"):
            pass
        return dict(json.loads(line))

    def do(self, order: str, contact: str, **values: Any) -> None:
        """Give an order: ``subscribe``, ``unsubscribe``, ``send``, ``features``."""
        self.say(json.dumps({"order": order, "to": contact, **values}))

    def next(self, contact: str, kind: str) -> dict[str, Any]:
        """Return what is received next from a contact, in order; what others send, and other kinds, stay.

        :param kind: ``presence``, ``message`` or ``features``.
        """
        while True:
            for found in self._seen:
                if found.get("sender") == contact and kind in found:
                    self._seen.remove(found)
                    return found
            self._seen.append(self._next())

    def presence(self, contact: str) -> tuple[str, str]:
        """Return the next presence of a contact and its text."""
        found = self.next(contact, "presence")
        return found["presence"], found["text"]

    def until(self, contact: str, presence: str) -> set[str]:
        """Wait for a presence of a contact; return those that came before."""
        before = set()
        while (found := self.presence(contact)[0]) != presence:
            before.add(found)
        return before


class Bridge(Program):
    """The example, between an application and a server; a context that ends it."""

    def __init__(
        self, folder: Path, application: Application, prosody: Prosody, secret: str = SECRET, port: str = "", watchers: str = WATCHERS
    ) -> None:
        registered = {"service": application.origin, "appid": application.appid, "key": application.key}
        (folder / "presence.json").write_text(json.dumps(registered))
        file = folder / "bridge.ini"
        file.write_text(_BRIDGE.format(component=COMPONENT, secret=secret, port=port or prosody.component_port, watchers=watchers))
        super().__init__([sys.executable, str(BRIDGE), str(file)], {"PYTHONPATH": str(ROOT / "clients" / "python")})

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def ready(self) -> Bridge:
        """Wait until both sides have accepted it."""
        waiting = {"accepted the component", "statuses are current"}
        while waiting:
            line = self.line()
            waiting = {text for text in waiting if text not in line}
        return self
