"""Stands in for logind on a bus of a test: one session, which it locks, and a sleep, as standard input says.

Usage: python logind.py <address of the bus>. Commands: ``lock``, ``unlock``, ``hint true``, ``hint false``, ``sleep``, ``wake``. It prints
``ready``, ``delayed`` when a program asks it to wait before a sleep, and ``released`` when that has ended.
"""

import asyncio
import os
import sys

from dbus_fast import PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property, method, signal

PATH = "/org/freedesktop/login1"
SESSION = f"{PATH}/session/_31"


def say(word: str) -> None:
    print(word, flush=True)


class Session(ServiceInterface):
    """The session of the user."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.login1.Session")
        self.locked = False

    @signal()
    def Lock(self) -> None:
        """Request the lock."""

    @signal()
    def Unlock(self) -> None:
        """Request its end."""

    @dbus_property(access=PropertyAccess.READ)
    def LockedHint(self) -> "b":  # noqa: F821 - a type of D-Bus
        return self.locked

    def hint(self, locked: bool) -> None:
        self.locked = locked
        self.emit_properties_changed({"LockedHint": locked})


class Manager(ServiceInterface):
    """The manager, for one user."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.login1.Manager")

    @method()
    def GetSession(self, session_id: "s") -> "o":  # noqa: F821
        return SESSION

    @method()
    def Inhibit(self, what: "s", who: "s", why: "s", mode: "s") -> "h":  # noqa: F821
        assert (what, mode) == ("sleep", "delay")
        ours, theirs = os.pipe()
        asyncio.get_running_loop().add_reader(ours, self._ended, ours)
        asyncio.get_running_loop().call_later(0.5, os.close, theirs)  # when it has been sent
        say("delayed")
        return theirs

    def _ended(self, ours: int) -> None:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        say("released")

    @signal()
    def PrepareForSleep(self, start: "b") -> "b":  # noqa: F821
        return start


async def main(address: str) -> None:
    bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
    session, manager = Session(), Manager()
    bus.export(PATH, manager)
    bus.export(SESSION, session)
    await bus.request_name("org.freedesktop.login1")
    say("ready")
    commands = {
        "lock": session.Lock,
        "unlock": session.Unlock,
        "hint true": lambda: session.hint(True),
        "hint false": lambda: session.hint(False),
        "sleep": lambda: manager.PrepareForSleep(True),
        "wake": lambda: manager.PrepareForSleep(False),
    }
    while command := await asyncio.to_thread(sys.stdin.readline):
        commands[command.strip()]()


asyncio.run(main(sys.argv[1]))
