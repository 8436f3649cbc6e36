"""People and applications of a development service."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from ..account import Account
from ..credentials import DevelopmentIssuer
from ..rest import Rest
from ..sync import AppService, Device
from .proof import ProofServer


class Application(NamedTuple):
    """An active application.

    :ivar key: its API key.
    :ivar domain: its validated domain: host and port.
    """

    url: str
    appid: str
    key: str
    domain: str

    def service(self, **options: Any) -> AppService:
        """Return a client of its backend; see ``AppService`` for the options."""
        return AppService(self.url, self.appid, self.key, **options)


class Person:
    """A user of a development service.

    :param token: the development token.
    :ivar credentials: what ``Device`` takes.
    """

    def __init__(self, url: str, email: str, token: str) -> None:
        self.email = email
        self.url = url
        self.credentials = DevelopmentIssuer(url, email, token)

    def __repr__(self) -> str:
        return f"Person({self.email!r})"

    def rest(self) -> Rest:
        """Return the REST calls of this user; they work for two minutes."""
        return Rest(self.url).signed_in(self.credentials())

    def account(self) -> Account:
        """Return what this user sees and controls of their account."""
        return Account(self.url, self.credentials)

    def device(self, name: str = "desk", status: str = "online", **options: Any) -> Device:
        """Return a device of this user, which connects as a context; see ``Device`` for the options."""
        return Device(self.url, self.email, self.credentials, device=name, status=status, **options)

    def grant(self, application: Application) -> str:
        """Let an application see this user; return the PUID."""
        return str(self.rest().call("POST", f"/grant/{quote(application.appid)}")["puid"])

    def pause(self, application: Application, paused: bool = True) -> None:
        """Hide this user from an application, or end that."""
        self.rest().call("PATCH", f"/grant/{quote(application.appid)}", {"paused": paused})

    def revoke(self, application: Application) -> None:
        """End the grant."""
        self.rest().call("DELETE", f"/grant/{quote(application.appid)}")


def register(owner: Person, name: str, proof: ProofServer) -> Application:
    """Register, validate and activate an application.

    :param proof: proves its domain; it must run as long as the application.
    """
    rest = owner.rest()
    made = rest.call("POST", "/myapps", {"name": name, "domain": proof.domain, "description": ""})
    proof.text = made["domain_key"]
    path = f"/myapps/{made['appid']}"
    rest.call("POST", f"{path}/validate")
    return Application(owner.url, made["appid"], rest.call("POST", f"{path}/activate")["api_key"], proof.domain)
