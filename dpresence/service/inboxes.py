"""A user's inbox: the notifications of the last days and which of them are read, the same on all devices (docs/protocol.md, section 6).

Only the user's own calls and frames read or change it, and none of its effects is visible to an application.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..backends.mailbox import InboxEntry, Mailbox
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable, NotFound, WrongValue
from ..hub import DevicePort, Hub
from .coalescer import Coalescer

_DELAY_SECONDS = 0.1
"""Seconds in which changes are collected before devices are sent the number of unread notifications."""
_MAX_DIGITS = 16
_MAX_SHOWN = 100
"""Maximum number of notifications of a connection whose clearing its device is told."""


class Inboxes:
    """Reads and changes inboxes. Sends the number of unread notifications, and what is cleared, to the devices that asked for it."""

    def __init__(self, mailbox: Mailbox, tracker: Tracker, hub: Hub) -> None:
        self._mailbox = mailbox
        self._tracker = tracker
        self._hub = hub
        self._counts = Coalescer("the number of unread notifications", self._send_changes, lambda: _DELAY_SECONDS)

    def entries(self, user: str, after: str, limit: int) -> tuple[Sequence[InboxEntry], str]:
        """Return up to ``limit`` entries, newest first, and what to pass as ``after`` for the next ones; "" at the end.

        :param after: "" for the newest.
        :raises WrongValue: ``after`` is not of an earlier page.
        """
        if after and not (after.isascii() and after.isdigit() and len(after) <= _MAX_DIGITS):
            raise WrongValue("after: the `next` of an earlier page")
        found = self._mailbox.inbox(user, int(after) if after else None, limit)
        return found, str(found[-1].position) if len(found) == limit else ""

    def unread(self, user: str) -> int:
        """Return the number of unread entries."""
        return self._mailbox.unread(user)

    def mark_read(self, user: str, ids: Sequence[str]) -> None:
        """Mark entries as read; unknown ids are ignored."""
        if ids and self._mailbox.mark_read(user, ids):
            self.changed(user)

    def mark_read_until(self, user: str, id_: str) -> None:
        """Mark an entry and all older ones as read; without such an entry, none are."""
        if self._mailbox.mark_read_until(user, id_):
            self.changed(user)

    def remove(self, user: str, id_: str) -> None:
        """Delete an entry.

        :raises NotFound: no entry has this id.
        """
        if not self._mailbox.remove_entry(user, id_):
            raise NotFound()
        self.changed(user)

    def clear(self, user: str) -> None:
        """Delete all entries."""
        if self._mailbox.clear_inbox(user):
            self.changed(user)

    def changed(self, user: str) -> None:
        """Have the devices that asked for it sent what has changed in an inbox."""
        with suppress(BackendUnavailable):  # the change is stored; devices read the number again with the next change
            self._tracker.signal("inbox", user)

    def schedule(self, user: str) -> None:
        """Send the number to a user's devices at this process, soon. Does not block."""
        if self._interested(user):
            self._counts.request(user)

    def _interested(self, user: str) -> list[DevicePort]:
        return [channel for channel in self._hub.devices_of(user).values() if channel.session.inbox or channel.session.shown]

    def _send_changes(self, user: str) -> None:
        channels = self._interested(user)
        if any(channel.session.inbox for channel in channels):
            count = self._mailbox.unread(user)
            for channel in self._interested(user):
                if channel.session.inbox:
                    channel.send_unread(count)
        for channel in channels:
            if channel.session.shown and self._mailbox.limits.days:
                self._send_cleared(user, channel, channel.session.shown)

    def _send_cleared(self, user: str, channel: DevicePort, shown: list[str]) -> None:
        ids = list(shown)  # more may be added during the call
        unread = self._mailbox.unread_ids(user, ids)
        cleared = [id_ for id_ in ids if id_ not in unread]
        if cleared:
            shown[:] = [id_ for id_ in shown if id_ not in cleared]
            channel.send_cleared(cleared)

    @staticmethod
    def record_shown(shown: list[str], ids: Sequence[str]) -> None:
        """Add notifications that a device was sent to those whose clearing it is told; the latest 100 are."""
        shown[:] = [*shown, *ids][-_MAX_SHOWN:]
