"""People with devices who grant, pause, revoke and sign out while a soak runs, and what each application must believe of them."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from bench.loop import Loop

from ..live.clients import Application
from ..live.cluster import Citizen
from .sdk import STATUSES, Book, Device, Service

ANSWER_SECONDS = 15.0
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""A call that is not answered for so long, over all its retries, fails the soak."""
TRACE = 300
"""Events that are kept of each person."""


@dataclass
class Human:
    """One person; ``granted`` has the PUID and whether it is paused, by application."""

    citizen: Citizen
    devices: list[Device] = field(default_factory=list)
    granted: dict[str, tuple[str, bool]] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=TRACE))

    def status(self) -> str:
        """Return the status that follows from their devices (docs/protocol.md, section 4)."""
        said = [device.wanted for device in self.devices if not device.away]
        return min(said, key=STATUSES.index, default="offline")

    def note(self, *words: object) -> None:
        """Keep an event for the report of a fault."""
        self.events.append(f"{time.strftime('%H:%M:%S')}.{int(time.time() * 1000) % 1000:03d} {' '.join(map(str, words))}")


class Society:
    """All of them, in the thread of the loop; the calls of REST are made by ``Actor``.

    :param ports: those of the processes that serve; people, devices and app services are spread over them.
    """

    def __init__(self, loop: Loop, ports: Sequence[int], people: int, seed: int) -> None:
        self.loop = loop
        self.book = Book()
        self.random = random.Random(seed)
        self._ports = ports
        self.humans = [Human(self._citizen(number, f"person{number}@example.org")) for number in range(people)]
        self.services: list[Service] = []
        self.owners: dict[str, Human] = {}
        self.busy = False
        for number, human in enumerate(self.humans):
            for device in range(1 + number % 2):
                self._add(human, number + device, f"d{device}", f"127.2.{number // 250}.{number % 250 + 1}")

    def _citizen(self, number: int, email: str) -> Citizen:
        return Citizen(f"http://127.0.0.1:{self._ports[number % len(self._ports)]}", email)

    def _add(self, human: Human, number: int, name: str, source: str) -> None:
        citizen = self._citizen(number, human.citizen.email)
        port = self._ports[number % len(self._ports)]
        human.devices.append(Device(self.loop, port, citizen.email, name, source, citizen.assertion, self.book))

    @property
    def devices(self) -> list[Device]:
        return [device for human in self.humans for device in human.devices]

    def serve(self, applications: Sequence[Application]) -> None:
        """Let the service of each application connect and read its snapshot."""
        for number, application in enumerate(applications):
            port = self._ports[number % len(self._ports)]
            service = Service(self.loop, port, application.appid, application.key, self.book, self.trace)
            self.services.append(service)
            service.come()

    def trace(self, puid: str, *words: object) -> None:
        """Keep an event of the person of a PUID."""
        if puid in self.owners:
            self.owners[puid].note(*words)

    # -- what devices and services do

    def churn(self, per_second: float) -> None:
        """Let something happen so often, from now on, while ``busy``."""
        if self.busy:
            self._happen()
        self.loop.later(self.random.expovariate(per_second), lambda: self.churn(per_second))

    def _happen(self) -> None:
        human = self.random.choice(self.humans)
        device = self.random.choice(human.devices)
        what = self.random.choices(("say", "drop", "leave", "notify"), (10, 2, 1, 4))[0]
        if what == "notify":
            service, human = self.random.choice(self.services), self.random.choice(self.humans)
            puid = human.granted.get(service.appid, ("nobody", False))[0]
            service.notify(puid, self.random.choice((5, 86400, 86400, 86400)))
        elif device.away:
            device.away = False
            device.come()
        elif what == "say":
            device.say(self.random.choice(STATUSES))
            human.note(device.name, "says", device.wanted)
        else:
            human.note(device.name, what)
            device.leave() if what == "leave" else device.drop()

    # -- the truth

    def expected(self, appid: str) -> dict[str, str]:
        """Return what an application must believe."""
        found = ((human, human.granted[appid]) for human in list(self.humans) if appid in human.granted)
        return {puid: "offline" if paused else human.status() for human, (puid, paused) in found}

    def wrong(self) -> list[str]:
        """Return what each application is wrong about."""
        found = []
        for service in self.services:
            expected = self.expected(service.appid)
            for puid in expected.keys() | service.seen.keys():
                if expected.get(puid) != service.seen.get(puid):
                    found.append(f"{service.appid} believes {puid} {service.seen.get(puid)}, it is {expected.get(puid)}")
        return found

    def settle(self, seconds: float) -> list[str]:
        """Wait until every device and view is right; return what is still wrong when the time is over."""
        self.loop.run(lambda: all(device.agreed for device in self.devices) and all(one.signed_in for one in self.services), seconds)
        late = [f"{device.email} {device.name} is not in: {dict(device.ends)}" for device in self.devices if not device.agreed]
        late += [f"the service of {one.appid} is not in: {dict(one.counts)}" for one in self.services if not one.signed_in]
        self.loop.run(lambda: not self.wrong(), seconds)
        return late + self.wrong()

    def missing(self, seconds: float) -> list[str]:
        """Wait until every notification that may come has come; return those that have not."""
        self.book.forget({puid for human in self.humans for puid, _ in human.granted.values()})
        there = [human for human in self.humans if any(device.signed_in for device in human.devices)]
        reachable = {puid for human in there for puid, paused in human.granted.values() if not paused}
        self.loop.run(lambda: not self.book.missing(reachable), seconds)
        return [f"{id} for {puid}" for id, puid in self.book.missing(reachable).items()]

    def report(self, lines: list[str]) -> str:
        """Return faults with the events of whom they concern."""
        concerned = [human for human in self.humans if any(self._names(human, line) for line in lines)]
        events = [f"\n{human.citizen.email} {human.granted}\n" + "\n".join(human.events) for human in concerned]
        return "\n".join(lines + events)

    def _names(self, human: Human, line: str) -> bool:
        return human.citizen.email in line or any(owner is human and puid in line for puid, owner in self.owners.items())

    def end(self) -> None:
        """Leave with every device and service."""
        self.busy = False
        for device in self.devices:
            device.leave()
        for service in self.services:
            service.closing = True
            service.drop()


class Actor(threading.Thread):
    """Makes the calls of some people, one after the other, each until it is answered; ``busy`` while one is under way.

    :param humans: whose; nobody else makes calls for them.
    """

    def __init__(self, society: Society, humans: list[Human], appids: list[str], per_second: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._society, self._humans, self._appids, self._pause = society, humans, appids, 1 / per_second
        self._random = random.Random(seed)
        self.running, self.over, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.idle.set()
        self.calls = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self._turn()
        except BaseException as error:  # raised by the one who waits
            self.failure = error
        self.idle.set()

    def _turn(self) -> None:
        if self.running.wait(0.2):
            self.idle.clear()
            verbs, weights = (self._grant, self._pause_or_not, self._revoke, self._sign_out, self._log_out, self._erase), (8, 5, 3, 2, 1, 1)
            human, appid = self._random.choice(self._humans), self._random.choice(self._appids)
            self._random.choices(verbs, weights)[0](human, appid)
            self.idle.set()
            time.sleep(self._pause * self._random.uniform(0.5, 1.5))

    def grant_all(self) -> None:
        """Let every person grant some applications, to begin with."""
        for number, human in enumerate(self._humans):
            for appid in self._appids[: 1 + number % len(self._appids)]:
                self._grant(human, appid)

    def erase_all(self) -> None:
        """Erase every account, to end with."""
        for human in self._humans:
            self._erase(human, "")

    # -- the verbs

    def _grant(self, human: Human, appid: str) -> None:
        puid = self._call(human, "POST", f"/grant/{appid}").json()["puid"]
        self._society.owners[puid] = human
        human.granted[appid] = (puid, human.granted.get(appid, ("", False))[1])
        human.note("granted", appid, puid)

    def _pause_or_not(self, human: Human, appid: str) -> None:
        if appid in human.granted:
            puid, paused = human.granted[appid]
            self._call(human, "PATCH", f"/grant/{appid}", {"paused": not paused})
            human.granted[appid] = (puid, not paused)
            human.note("paused" if not paused else "resumed", appid, puid)

    def _revoke(self, human: Human, appid: str) -> None:
        if appid in human.granted:
            self._call(human, "DELETE", f"/grant/{appid}", gone=True)
            human.note("revoked", appid, human.granted.pop(appid))

    def _sign_out(self, human: Human, _: str) -> None:
        """Sign one device out; its SDK signs in again."""
        self._call(human, "DELETE", f"/devices/{self._random.choice(human.devices).name}", gone=True)
        human.note("signed a device out")

    def _log_out(self, human: Human, _: str) -> None:
        """Log out everywhere."""

        def log_out() -> requests.Response:
            with requests.Session() as browser:
                origin = human.citizen.origin
                came = browser.post(f"{origin}/login", json={"assertion": human.citizen.assertion()}, timeout=ANSWER_SECONDS)
                if not came.ok:
                    return came
                headers = {"X-CSRF-Token": came.json()["csrf"]}
                return browser.post(f"{origin}/logout", json={"everywhere": True}, headers=headers, timeout=ANSWER_SECONDS)

        self._answered(human, "log out everywhere", log_out)
        human.note("logged out everywhere")

    def _erase(self, human: Human, _: str) -> None:
        self._call(human, "DELETE", "/account")
        human.granted.clear()
        human.note("erased")

    def _call(self, human: Human, method: str, path: str, body: Any = None, gone: bool = False) -> requests.Response:
        """Make a call until it is answered; with ``gone`` that there is no such thing is fine."""

        def call() -> requests.Response:
            headers = {"Authorization": f"BrowserID {human.citizen.assertion()}"}
            return requests.request(method, human.citizen.origin + path, json=body, headers=headers, timeout=ANSWER_SECONDS)

        return self._answered(human, f"{method} {path}", call, {404} if gone else set())

    def _answered(self, human: Human, what: str, call: Callable[[], requests.Response], fine: set[int] = frozenset()) -> requests.Response:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.calls += 1
            try:
                answer = call()
            except requests.RequestException as error:
                said = type(error).__name__
            else:
                if answer.ok or answer.status_code in fine:
                    return answer
                said = f"{answer.status_code} {answer.text}"
                assert answer.status_code in (429, 503), f"{human.citizen.email} {what}: {said}"
            human.note(what, said)
            assert time.monotonic() < until, f"{human.citizen.email} {what}: {said}"
            time.sleep(RETRY_SECONDS)
