"""The screen lock and the sleep of this computer, as logind (org.freedesktop.login1) reports them on the system bus."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from dbus_fast import BusType, DBusError, InvalidAddressError
from dbus_fast.aio import MessageBus

NAME, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1"


class NoLogind(Exception):
    """There is no logind, or this user has no session there."""


class Screen:
    """The screen of this user's session; a context that ends the connection to logind.

    Desktops set the property ``LockedHint`` of the session. The signals ``Lock`` and ``Unlock`` are requests, such as those of
    ``loginctl lock-session``, which come also where nothing sets the property.

    :ivar locked: True while the screen is locked.
    :ivar asleep: True from just before the computer sleeps until it has woken up.
    """

    def __init__(self) -> None:
        self.locked = self.asleep = False
        self._changed = asyncio.Event()
        self._delay: int | None = None

    async def __aenter__(self) -> Screen:
        try:
            self._bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
            self._ended = asyncio.ensure_future(self._bus.wait_for_disconnect())
            self._ended.add_done_callback(self._disconnected)
            self._manager = await self._interface(MANAGER, f"{NAME}.Manager")
            self._manager.on_prepare_for_sleep(self._set_asleep)
            # "auto": for a service of the user, which is in no session, the session of their display
            await self._follow(await self._manager.call_get_session(os.environ.get("XDG_SESSION_ID", "auto")))
        except (DBusError, OSError, EOFError, InvalidAddressError) as error:
            raise NoLogind(str(error)) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self.allow_sleep()
        self._bus.disconnect()

    async def _interface(self, path: str, name: str) -> Any:
        return self._bus.get_proxy_object(NAME, path, await self._bus.introspect(NAME, path)).get_interface(name)

    async def _follow(self, path: str) -> None:
        session = await self._interface(path, f"{NAME}.Session")
        session.on_lock(lambda: self._set_locked(True))
        session.on_unlock(lambda: self._set_locked(False))
        properties = await self._interface(path, "org.freedesktop.DBus.Properties")
        properties.on_properties_changed(self._properties_changed)
        self._set_locked(await session.get_locked_hint())

    def _properties_changed(self, _: str, changed: dict[str, Any], __: list[str]) -> None:
        if "LockedHint" in changed:
            self._set_locked(changed["LockedHint"].value)

    def _set_locked(self, locked: bool) -> None:
        self.locked = locked
        self._changed.set()

    def _set_asleep(self, asleep: bool) -> None:
        self.asleep = asleep
        self._changed.set()

    def _disconnected(self, ended: asyncio.Future[None]) -> None:
        self._error = None if ended.cancelled() else ended.exception()
        self._changed.set()

    @property
    def status(self) -> str:
        """The status of a user who is at this computer."""
        return "unavailable" if self.locked else "online"

    async def change(self) -> None:
        """Wait for the next change.

        :raises NoLogind: the connection to the bus has ended.
        """
        await self._changed.wait()
        self._changed.clear()
        if self._ended.done():
            raise NoLogind(f"the connection to the system bus has ended: {self._error}")

    async def delay_sleep(self) -> None:
        """Have logind wait before the next sleep until ``allow_sleep``, for 5 s at most."""
        self._delay = await self._manager.call_inhibit("sleep", "dpresence", "tell that this computer sleeps", "delay")

    def allow_sleep(self) -> None:
        """Tell logind that it need not wait any more."""
        if self._delay is not None:
            os.close(self._delay)
            self._delay = None
