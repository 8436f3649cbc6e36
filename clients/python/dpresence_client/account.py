"""A user's own account: status, quiet hours, grants and inbox, for programs without asyncio."""

from __future__ import annotations

import ssl
from typing import Any, Callable, List

from . import account_calls as calls
from .account_calls import T
from .account_values import UNCHANGED, AnyNotification, Grant, Hours, ListedGrant, QuietHours, Unchanged, UserInbox, UserStatus
from .credentials import proof
from .rest import Rest


class Account:
    """A user's own account: their status, quiet hours, grants and inbox (docs/protocol.md, section 6). It keeps no connection.

    Every method raises ``Refused`` (``InvalidCredentials``, ``InvalidField``, ``NotFound`` ..) if the service refuses the call,
    ``NotConnected`` if it does not answer, and what the credentials raise.

    :param url: URL of the dpresence service, such as ``https://presence.example.org``.
    :param credentials: returns an assertion; it is called before each call. A ticket or the credential of a paired device is none.
    :param context: TLS settings; None for the default ones.
    :raises ValueError: the URL is not one of a service.
    """

    def __init__(self, url: str, credentials: Callable[[], str | None], *, context: ssl.SSLContext | None = None) -> None:
        self._rest, self._credentials = Rest(url, context=context), credentials

    def __repr__(self) -> str:
        return f"Account({self._rest.url!r})"

    def _call(self, call: Callable[..., T], *values: Any, **named: Any) -> T:
        return call(self._rest.signed_in(proof(self._credentials())), *values, **named)

    # -- status

    def status(self) -> UserStatus:
        """Return the status of the person, and what it follows from."""
        return self._call(calls.status)

    def set_override(self, status: str, until: int | None = None) -> UserStatus:
        """Set a status of the whole person, above those of all devices.

        :param status: ``online``, ``unavailable`` or ``offline``.
        :param until: when it ends by itself, milliseconds since the epoch; None: when it is ended.
        """
        return self._call(calls.set_override, status, until)

    def end_override(self) -> None:
        """End the status of the whole person, if there is one; the devices count again."""
        self._call(calls.end_override)

    # -- quiet hours

    def hours(self) -> QuietHours:
        """Return the quiet hours for all applications."""
        return self._call(calls.hours)

    def set_hours(self, hours: Hours) -> QuietHours:
        """Set the quiet hours: applications see the user as offline in them, and notifications wait."""
        return self._call(calls.set_hours, hours)

    def remove_hours(self) -> None:
        """Remove the quiet hours for all applications, if there are any."""
        self._call(calls.remove_hours)

    # -- grants

    def grants(self) -> List[ListedGrant]:
        """Return the grants: what each application sees and why, and when it looked."""
        return self._call(calls.grants)

    def change_grant(
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
        return self._call(calls.change_grant, appid, paused=paused, shows=shows, until=until, hours=hours, push=push)

    # -- inbox

    def notifications(self) -> UserInbox:
        """Return the inbox."""
        return self._call(calls.notifications)

    def mark_read(self, *notifications: AnyNotification, until: AnyNotification | None = None) -> int:
        """Mark notifications as read on all devices; return the number of unread ones.

        :param notifications: those of the inbox or of a device. Some that are not in the inbox are no error.
        :param until: instead of these: this one and all older ones.
        """
        return self._call(calls.mark_read, notifications, until)

    def delete_notification(self, notification: AnyNotification) -> None:
        """Delete a notification from the inbox; it may still wait for a device.

        :raises NotFound: it is not in the inbox.
        """
        self._call(calls.delete_notification, notification)

    def clear_notifications(self) -> None:
        """Delete all notifications from the inbox."""
        self._call(calls.clear_notifications)
