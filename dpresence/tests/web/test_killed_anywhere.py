"""A process that is killed at any moment of a change: the other one leaves every application with the truth.

Two services share a database and a Redis. The second makes the change and is killed at its n-th call of a backend, before or
after the call is carried out, for every n. Then only the first one's sweeps run.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dpresence.backends.directory import Directory
from dpresence.backends.mailbox import Mailbox
from dpresence.backends.tracker import Tracker
from dpresence.errors import CloseCode
from dpresence.tests.support import FakeClock, FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, Browser, World

_MOST_CALLS = 60
_QUICK = ("revoke", "log-out everywhere")
"""Changes that ``make test`` tries; ``make faults`` tries all."""
_ROLES = {"directory": Directory, "tracker": Tracker, "mailbox": Mailbox}
_LOCAL = {"subscribe", "close", "cursor", "offset"}


class Killed(BaseException):
    """The process was killed."""


@dataclass
class Killer:
    """Counts the calls of a process's backends and raises at one of them, and at every one after that: it is dead.

    :param after: whether the call is carried out before.
    """

    at: int
    after: bool
    calls: list[str] = field(default_factory=list)

    def watch(self, patch: pytest.MonkeyPatch, backend: Any, role: type) -> None:
        for name in role.__abstractmethods__ - _LOCAL:
            patch.setattr(backend, name, self._killing(name, getattr(backend, name)))

    def _killing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) < self.at:
                return real(*arguments, **named)
            if self.after and len(self.calls) == self.at:
                real(*arguments, **named)
            raise Killed

        return call

    def __str__(self) -> str:
        return f"killed {'after' if self.after else 'before'} the last of {self.calls}"


@dataclass
class Scene:
    """A person with two devices at the first process, a browser at the second, a grant and an application of their own.

    :ivar page: the channel that was opened with ``ticket``, of ``family``.
    """

    one: World
    two: World
    email: str
    user: str
    app: App
    mine: App
    browser: Browser
    phone: FakeConnection
    page: FakeConnection
    ticket: str
    family: str
    services: dict[str, FakeConnection]
    connections: list[FakeConnection]

    @property
    def directory(self) -> Directory:
        return self.one.registry.backends.directory

    def close(self) -> None:
        for connection in self.connections:
            connection.leave()
        self.one.advance(16)
        self.one.connections.clear()
        self.two.connections.clear()


@pytest.fixture
def worlds(make_world: Callable[..., World], tmp_path: Any, redis_server: Any, migrated: Any) -> tuple[World, World]:
    shutil.copy(migrated, tmp_path / "shared.db")
    many = {"channels__failures_per_minute": "100000", "channels__registrations_per_hour": "100000"}
    shared = {"directory__url": f"sqlite:///{tmp_path}/shared.db", "tracker": "redis", "mailbox": "redis", "redis__url": redis_server.url}
    clock = FakeClock()
    return make_world(clock, **shared, **many), make_world(clock, **shared, **many)


def scene(worlds: tuple[World, World], number: int) -> Scene:
    one, two = worlds
    ann, bob = f"ann{number}@example.org", f"bob{number}@example.org"
    app, mine = one.application(one.person(f"dev{number}@example.org")), one.application(one.person(ann), name="Go")
    puid = one.grant(ann, app)
    one.grant(bob, mine)
    browser = two.person(ann)
    page, ticket = one.channel(), browser("POST", "/ticket").json["ticket"]
    page.receive({"email": ann, "assertion": ticket, "status": "online", "device": "page", "ack": True})
    phone, bobs = one.device(ann, device="phone", ack=True), one.device(bob)
    one.notify(app, {"puid": puid, "message": "secret words"})  # waits: no device acknowledges it
    user = next(user for user, device, channel in one.services.hub.devices() if device == "page")
    family = one.services.hub.devices_of(user)["page"].session.family
    services = {application.id: one.service(application) for application in (app, mine)}
    everybody = [page, phone, bobs, *services.values()]
    return Scene(one, two, ann, user, app, mine, browser, phone, page, ticket, family, services, everybody)


# -- the changes


def call(method: str, path: str, body: Any = None) -> Callable[[Scene], object]:
    return lambda it: it.browser(method, path.format(app=it.app.id, mine=it.mine.id), body)


def pause_and_resume(it: Scene) -> None:
    for paused in (True, False):
        it.browser("PATCH", f"/grant/{it.app.id}", {"paused": paused})


CHANGES: dict[str, Callable[[Scene], object]] = {
    "revoke": call("DELETE", "/grant/{app}"),
    "override": call("PUT", "/status", {"status": "unavailable"}),
    "pause": call("PATCH", "/grant/{app}", {"paused": True}),
    "pause and resume": pause_and_resume,
    "grant": call("POST", "/grant/{mine}"),
    "erasure": call("DELETE", "/account"),
    "log-out": call("POST", "/logout"),
    "log-out everywhere": call("POST", "/logout", {"everywhere": True}),
    "sign-out of a device": call("DELETE", "/devices/phone"),
    "stolen ticket": lambda it: it.two.channel().receive(
        {"email": it.email, "assertion": it.ticket, "status": "online", "device": "thief"}
    ),
    "block": lambda it: it.two.registry.backends.directory.block(it.email, True),
    "deactivation": call("POST", "/myapps/{mine}/deactivate"),
    "new domain": call("PATCH", "/myapps/{mine}", {"domain": "new.example.org"}),
    "deletion of an application": call("DELETE", "/myapps/{mine}"),
}


@pytest.mark.parametrize("name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES])
def test_a_change_is_reported_or_undone_wherever_its_process_is_killed(
    worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for number, (at, after) in enumerate(itertools.product(range(1, _MOST_CALLS), (False, True))):
        it, killer = scene(worlds, number), Killer(at, after)
        done = changed(it, CHANGES[name], killer, monkeypatch)
        it.one.carry_out()
        it.one.advance(1)
        eventually(lambda it=it, killer=killer: check(it, str(killer)) or True, also=(AssertionError,))
        it.close()
        if done:
            assert number, "nothing was interrupted"
            return
    raise AssertionError("the change has more steps than were tried")


def changed(it: Scene, change: Callable[[Scene], object], killer: Killer, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make a change at the second process; return whether it came to its end."""
    with monkeypatch.context() as patch:
        for name, role in _ROLES.items():
            killer.watch(patch, getattr(it.two.registry.backends, name), role)
        try:
            change(it)
        except Killed:
            return False
    return True


# -- the truth


def check(it: Scene, where: str) -> None:
    """Compare what applications see, and who is connected, with the directory."""
    assert list(it.directory.outbox(None, 0, 10)) == [], where
    for app in (it.app, it.mine):
        application, service = it.directory.application(app.id), it.services[app.id]
        if application is not None and application.active:
            assert (service.code, table(service)) == (None, truth(it, app)), where
        else:
            assert service.code == (CloseCode.DEACTIVATED if application else CloseCode.UNKNOWN_APPLICATION), where
    account = it.directory.account(it.user)
    signed_out = CloseCode.NOT_SIGNED_IN
    if account is None or account.blocked:
        assert (it.phone.code, it.page.code, list(it.one.services.devices.list(it.user))) == (signed_out, signed_out, []), where
    if account is None:
        assert list(it.one.registry.backends.mailbox.pending(it.user, 0, 10)) == [], where
    if not it.directory.family_exists(it.family):
        assert it.page.code == signed_out, where


def truth(it: Scene, app: App) -> dict[str, str]:
    """Return the status of each user who grants an application, by what the directory says and which devices are connected."""
    online = {user for user, _, channel in it.one.services.hub.devices() if channel.session.status == "online"}
    shown: dict[str, str] = {}
    for grant in it.directory.grants_of_application(app.id, "", 100):
        account = it.directory.account(grant.user)
        assert account is not None
        shown[grant.puid] = grant.shown(account.override or "online") if grant.user in online else "offline"
    return shown


def table(service: FakeConnection) -> dict[str, str]:
    """Return the table an app service keeps of all it was sent."""
    statuses: dict[str, str] = {}
    for frame in service.sent:
        for entry in (*frame.get("snapshot", ()), *frame.get("updates", ())):
            statuses[entry["puid"]] = entry["status"]
            if entry.get("reason") == "revoked":
                del statuses[entry["puid"]]
    return statuses
