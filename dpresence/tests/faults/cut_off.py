"""T22: one of two processes is cut off from Redis for a while."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..live.clients import AppService, Device, Person, activate
from ..live.service import Service, Site
from .beside import Meanwhile, backends
from .cluster import GONE_SECONDS, LEASE, Cluster
from .crowd import crowd
from .proxy import Proxy
from .support import Figures

CUT_SECONDS = [float(os.environ["AWAY_SECONDS"])] if "AWAY_SECONDS" in os.environ else [LEASE / 2, LEASE * 1.5]
"""T22 asks for 60. Within the lease of a process, and beyond it."""
BACK_SECONDS = 5.0


@dataclass
class CutOff:
    """Two processes, of which one reaches Redis through proxies.

    :param said: body of the heartbeat of the one that is cut off.
    """

    cluster: Cluster
    site: Site
    cut: Service
    whole: Service
    proxies: Sequence[Proxy]
    said: dict[str, Any]


def cut_off(given: CutOff, figures: Figures, name: str, seconds: float) -> None:
    """Cut one process off while devices update at both, and check that nothing stays wrong."""
    cut, whole = given.cut, given.whole
    application = activate(whole.origin, given.site)
    back_after: list[float] = []
    with crowd(given.cluster.seed(application.appid, 200)) as all_, Witnesses(application, given) as witnesses:
        all_.bring(cut.port, whole.port)
        there = all_.audit(cut.port, application.appid, application.key)
        here = all_.audit(whole.port, application.appid, application.key)

        def partition() -> None:
            time.sleep(2)
            for proxy in given.proxies:
                proxy.cut()
            start = time.monotonic()
            witnesses.while_cut()
            time.sleep(max(0.0, seconds - (time.monotonic() - start)))
            for proxy in given.proxies:
                proxy.heal()
            start = time.monotonic()
            witnesses.once_healed()
            back_after.append(time.monotonic() - start)

        roaming = all_.fleet.devices[:20]
        all_.loop.later(2 + seconds / 2, lambda: [device.drop() for device in roaming])
        with Meanwhile(partition):
            all_.rate(seconds + 2 + BACK_SECONDS, 50)
        assert all_.all_in(30), all_.report()
        refused = all_.fleet.refused.total()
        all_.say_again()
        figures.count(name, "updates refused once it was healed", all_.fleet.refused.total() - refused, 0)
        figures.time(name, "both sides are right about everybody after", all_.agree(GONE_SECONDS), GONE_SECONDS)
        figures.time(name, "the one cut off is well after it is healed", back_after[0], BACK_SECONDS)
        figures.tell(name, "refused with 201 at the one cut off", all_.fleet.refused[201])
        figures.count(name, "devices that lost their connection", all_.fleet.ends.total() - len(roaming), 0)
        figures.count(name, "holes in the feeds of both", there.holes + here.holes, 0)
        devices = [Person(whole.origin, device.email).call("GET", "/devices")["devices"] for device in roaming]
        figures.count(name, "devices twice", sum(len(one) - 1 for one in devices), 0)


class Witnesses:
    """One person who revokes and one who moves to the other process meanwhile, and an app service at each process."""

    def __init__(self, application, given):
        self._cut, self._whole, self._said, self._application = given.cut, given.whole, given.said, application
        self._open = ExitStack()

    def __enter__(self):
        revoker, mover = Person(self._whole.origin, "revoker@example.org"), Person(self._whole.origin, "mover@example.org")
        self._puid, moved = revoker.grant(self._application), mover.grant(self._application)
        self._revoker, self._mover = revoker, mover
        self._device = self._enter(Device(Person(self._cut.origin, revoker.email)))
        self._older = self._enter(Device(Person(self._cut.origin, mover.email)))
        self._there = self._enter(AppService(self._application, origin=self._cut.origin))
        self._there.authenticate()
        self._device.sign_in("online")
        self._older.sign_in("online", device="phone")
        assert {puid for puid, _, _ in self._there.next_updates(2)} == {self._puid, moved}
        return self

    def __exit__(self, *_):
        self._open.close()

    def _enter(self, channel):
        return self._open.enter_context(channel)

    def while_cut(self):
        """The one who is cut off says so; what happens at the other is done."""
        refused = self._device.ask(email=self._revoker.email, status="unavailable")
        assert (refused["errno"], refused["retry_after"]) == (201, 5)
        assert backends(self._cut) == (503, self._said)
        assert backends(self._whole)[0] == 200
        self._revoker.call("DELETE", f"/grant/{self._application.appid}", status=204)
        self._newer = self._enter(Device(self._mover))
        self._newer.sign_in("online", device="phone")
        assert self._notify() == 110  # looked up at each send, also by a process that got no signal

    def once_healed(self):
        """Check that missed updates arrive after the recovery."""
        while backends(self._cut)[0] != 200:
            time.sleep(0.05)
        wait_for_update(self._there, (self._puid, "offline", "revoked"))
        assert self._older.wait_closed()[0] == 4010
        self._newer.say("unavailable")
        self._device.say("online")
        self._device.say("unavailable")
        assert self._notify() == 110
        (kept,) = self._mover.call("GET", "/devices")["devices"]
        assert (kept["device"], kept["connected"]) == ("phone", True)

    def _notify(self):
        return self._there.notify({"puid": self._puid})[0]["errno"]


def wait_for_update(service, wanted):
    """Wait until an application's service receives an update; ignore earlier ones."""
    while service.next_updates()[0] != wanted:
        pass
