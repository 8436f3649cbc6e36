"""A user's own account: status, quiet hours, grants and inbox, for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Callable, List

from .. import account_calls as calls
from ..account_calls import T
from ..account_values import UNCHANGED, AnyNotification, Grant, Hours, ListedGrant, QuietHours, Unchanged, UserInbox, UserStatus
from ..credentials import Credentials, obtain, proof
from ..rest import Rest


class Account:
    """A user's own account: the same as ``dpresence_client.Account``, whose parameters and errors it has.

    Its credentials may be a coroutine function. What blocks runs in the default threads of the event loop.
    """

    def __init__(self, url: str, credentials: Credentials, *, context: ssl.SSLContext | None = None) -> None:
        self._rest, self._credentials = Rest(url, context=context), credentials

    def __repr__(self) -> str:
        return f"Account({self._rest.url!r})"

    async def _call(self, call: Callable[..., T], *values: Any, **named: Any) -> T:
        rest = self._rest.signed_in(proof(await obtain(self._credentials, asyncio.to_thread)))
        return await asyncio.to_thread(call, rest, *values, **named)

    # -- status

    async def status(self) -> UserStatus:
        """Return the status of the person, and what it follows from."""
        return await self._call(calls.status)

    async def set_override(self, status: str, until: int | None = None) -> UserStatus:
        """Set a status of the whole person, above those of all devices.

        :param status: ``online``, ``unavailable`` or ``offline``.
        :param until: when it ends by itself, milliseconds since the epoch; None: when it is ended.
        """
        return await self._call(calls.set_override, status, until)

    async def end_override(self) -> None:
        """End the status of the whole person, if there is one; the devices count again."""
        await self._call(calls.end_override)

    # -- quiet hours

    async def hours(self) -> QuietHours:
        """Return the quiet hours for all applications."""
        return await self._call(calls.hours)

    async def set_hours(self, hours: Hours) -> QuietHours:
        """Set the quiet hours: applications see the user as offline in them, and notifications wait."""
        return await self._call(calls.set_hours, hours)

    async def remove_hours(self) -> None:
        """Remove the quiet hours for all applications, if there are any."""
        await self._call(calls.remove_hours)

    # -- grants

    async def grants(self) -> List[ListedGrant]:
        """Return the grants: what each application sees and why, and when it looked."""
        return await self._call(calls.grants)

    async def change_grant(
        self,
        appid: str,
        *,
        paused: bool | Unchanged = UNCHANGED,
        shows: str | Unchanged = UNCHANGED,
        until: int | Unchanged | None = UNCHANGED,
        hours: Hours | Unchanged | None = UNCHANGED,
        push: bool | Unchanged = UNCHANGED,
    ) -> Grant:
        """Change what is given of a grant; see ``Grant`` for the values.

        :param until: None: it ends when the user ends it.
        :param hours: None: it has no quiet hours of its own.
        """
        return await self._call(calls.change_grant, appid, paused=paused, shows=shows, until=until, hours=hours, push=push)

    # -- inbox

    async def notifications(self) -> UserInbox:
        """Return the inbox."""
        return await self._call(calls.notifications)

    async def mark_read(self, *notifications: AnyNotification, until: AnyNotification | None = None) -> int:
        """Mark notifications as read on all devices; return the number of unread ones.

        :param notifications: those of the inbox or of a device. Some that are not in the inbox are no error.
        :param until: instead of these: this one and all older ones.
        """
        return await self._call(calls.mark_read, notifications, until)

    async def delete_notification(self, notification: AnyNotification) -> None:
        """Delete a notification from the inbox; it may still wait for a device.

        :raises NotFound: it is not in the inbox.
        """
        await self._call(calls.delete_notification, notification)

    async def clear_notifications(self) -> None:
        """Delete all notifications from the inbox."""
        await self._call(calls.clear_notifications)
