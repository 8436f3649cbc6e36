"""Delivery of notifications to the devices connected to this process: in order, page by page, at most once per connection.

A channel gets the next page after the previous one was written to the socket, and only while the number of unacknowledged
notifications is low enough. A backlog of any size therefore fills neither a send buffer nor memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from random import SystemRandom

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox, Waiting
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable
from ..hub import DevicePort, Hub
from ..messages import MAX_NOTIFICATIONS
from ..metrics import Metrics
from ..model import Grant, Notification
from ..model.outcomes import NotificationOutcome
from ..tasks import on_behalf_of
from .coalescer import Coalescer
from .grants import Grants
from .inboxes import Inboxes
from .outcomes import Outcomes, Received
from .scheduling import yield_to_loop
from .single_flight import SingleFlight

MAX_UNACKNOWLEDGED = 500
"""Maximum number of notifications sent on one channel without an acknowledgement."""
_PAGES = 10
"""Maximum number of pages of one delivery; then other callers for the same user proceed."""
_WAIT_SECONDS = 10
_RANDOM = SystemRandom()


class Delivery:
    """Sends undelivered notifications, and discards those that devices have received.

    :cvar delay_seconds: minimum and maximum seconds of the random delay of deliveries that the application must not detect.
    """

    delay_seconds = (0.2, 2.0)

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        grants: Grants,
        inboxes: Inboxes,
        outcomes: Outcomes,
        hub: Hub,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._grants = grants
        self._inboxes = inboxes
        self._outcomes = outcomes
        self._hub = hub
        self._metrics = metrics
        self._clock = clock
        self._deliveries = SingleFlight(self._deliver_in_turn, _WAIT_SECONDS)
        self._scheduled = Coalescer("the delivery of notifications", self._deliver_here)
        self._resumptions = Coalescer("the delivery after an activation", self._resume, self.random_delay)
        self._discards = Coalescer("the deletion of received notifications", self._discard_written)
        self._written: dict[str, set[str]] = {}  # ids written to the sockets of devices without acknowledgements, still to be discarded

    def deliver(self, user: str) -> None:
        """Send undelivered notifications to a user's devices on this process, as many as they accept now; the rest follows later.

        :raises BackendUnavailable: a backend is unavailable, or other deliveries to the user take too long.
        """
        self._deliveries.run(user)

    def deliver_or_schedule(self, user: str) -> None:
        """Send undelivered notifications like ``deliver``; while a backend is unavailable, this is retried."""
        try:
            self.deliver(user)
        except BackendUnavailable:
            self.schedule(user)

    def begin(self, user: str) -> None:
        """Send the notifications that waited for a device that has signed in; while a backend is unavailable, this is retried.

        Usually none do, which one read of the mailbox finds, without the lock of a delivery. A later one is delivered by its signal, as
        the device is in the hub.
        """
        try:
            if self._deliveries.running(user) or self._mailbox.pending(user, 0, 1):
                self.deliver(user)
        except BackendUnavailable:
            self.schedule(user)

    def schedule(self, user: str) -> None:
        """Deliver in a greenlet, unless the user has no device here or a delivery is about to start. Does not block.

        While a backend is unavailable, the delivery is retried as long as the user has a device here.
        """
        if self._hub.devices_of(user) and not self._deliveries.pending(user):
            self._scheduled.request(user)

    def _deliver_here(self, user: str) -> None:
        if self._hub.devices_of(user):
            self.deliver(user)

    def _deliver_in_turn(self, user: str) -> None:
        """Deliver as a caller of its own: a sender waits for it, and must not wait behind what else the user does."""
        with on_behalf_of(f"delivery {user}"):
            self._deliver_pages(user)

    def _deliver_pages(self, user: str) -> None:
        self._inboxes.schedule(user)
        channels = list(self._hub.devices_of(user).values())
        self._rewind(user, channels)
        for _ in range(_PAGES):
            channels = [channel for channel in channels if self._has_room(user, channel)]
            if not channels:
                break
            channels = self._send_page(user, channels)
            if channels:
                yield_to_loop()
        if channels:
            self.schedule(user)

    def _rewind(self, user: str, channels: Collection[DevicePort]) -> None:
        """Return to notifications that were skipped while their grant was paused or their application was not active."""
        skipped = {puid for channel in channels for puid in channel.session.progress.skipped}
        if skipped:
            shown = self._deliverable_domains(user, skipped)
            for channel in channels:
                channel.session.begin_progress().rewind(shown)

    def resume(self, appid: str) -> None:
        """Send notifications that were skipped while an application was not active, to one user after another; never blocks.

        The first delivery begins after a random delay: the time of the application's next answers must not show who has a
        device (protocol, section 5).
        """
        self._resumptions.request(appid)

    @classmethod
    def random_delay(cls) -> float:
        """Return seconds after which to begin a delivery that the application must not detect."""
        return _RANDOM.uniform(*cls.delay_seconds)

    def _resume(self, appid: str) -> None:
        for user in dict.fromkeys(user for user, _, channel in self._hub.devices() if channel.session.progress.skipped):
            try:
                if any(self._has_skipped(user, grant) for grant in self._grants.of(user).grants if grant.appid == appid):
                    self.deliver(user)
            except BackendUnavailable:
                self.schedule(user)
            yield_to_loop()

    def _has_skipped(self, user: str, grant: Grant) -> bool:
        return any(grant.puid in channel.session.progress.skipped for channel in self._hub.devices_of(user).values())

    def waiting(self, user: str) -> tuple[list[Notification], dict[str, str]]:
        """Return the oldest undelivered notifications that a device may be sent, up to a page, and the domains of their applications."""
        found: list[Notification] = []
        domains: dict[str, str] = {}
        after = 0
        while len(found) < MAX_NOTIFICATIONS:
            page = self._mailbox.pending(user, after, MAX_NOTIFICATIONS)
            if page:
                domains |= self._deliverable_domains(user, {waiting.notification.puid for waiting in page})
            found += [item for _, item in page if item.puid in domains]
            if len(page) < MAX_NOTIFICATIONS:
                break
            after = page[-1].position
            yield_to_loop()
        return found[:MAX_NOTIFICATIONS], domains

    def _deliverable_domains(self, user: str, puids: Collection[str]) -> dict[str, str]:
        """Return the domains, by PUID, of the grants among ``puids`` that are not paused and whose application is active."""
        grants = [grant for grant in self._grants.of(user).grants if grant.puid in puids and not grant.paused]
        active = self._directory.active([grant.appid for grant in grants]) if grants else {}
        return {grant.puid: active[grant.appid] for grant in grants if grant.appid in active}

    def _has_room(self, user: str, channel: DevicePort) -> bool:
        """Return whether a channel can take the next page.

        If it cannot, its delivery resumes when earlier frames were sent or acknowledged.
        """
        progress = channel.session.progress
        if not channel.idle:
            if not progress.stalled:
                channel.session.begin_progress().stalled = True
                channel.when_sent(partial(self._on_drained, user, channel))
            return False
        if self._full(user, channel):  # notifications may have been acknowledged by other devices, or have expired
            undelivered = self._mailbox.undelivered_ids(user, progress.sent)
            progress.sent &= undelivered  # as it is now, after the call
        return not self._full(user, channel)

    def _full(self, user: str, channel: DevicePort) -> bool:
        """Return whether another page would exceed the limit of unacknowledged notifications; those still to be discarded count."""
        return len(channel.session.progress.sent) + len(self._written.get(user, ())) > MAX_UNACKNOWLEDGED - MAX_NOTIFICATIONS

    def _on_drained(self, user: str, channel: DevicePort) -> None:
        channel.session.begin_progress().stalled = False
        self.schedule(user)

    def _send_page(self, user: str, channels: Sequence[DevicePort]) -> list[DevicePort]:
        """Send a page to the channels with the lowest position; return the channels for which more may be waiting."""
        after = min(channel.session.progress.position for channel in channels)
        settled = frozenset(self._written.get(user, ()))  # before the page is read, as what it contains may be discarded meanwhile
        page = self._mailbox.pending(user, after, MAX_NOTIFICATIONS)
        shown = self._deliverable_domains(user, {waiting.notification.puid for waiting in page})  # read last, as a grant may have ended
        settled |= self._written.get(user, frozenset())  # before the page is written to any device
        following = []
        for channel in channels:
            behind = channel.session.progress.position == after
            if not behind or (self._offer(user, channel, page, shown, settled) and _more(page, channel.session.progress.position)):
                following.append(channel)
        return following

    def _offer(self, user: str, channel: DevicePort, page: Sequence[Waiting], shown: Mapping[str, str], settled: Collection[str]) -> bool:
        """Send a channel those notifications of a page that fit and were not sent yet; return whether it accepted them.

        :param settled: ids that were sent to a device without acknowledgements before, and are still to be discarded.
        """
        if not page:
            return True
        progress = channel.session.begin_progress()
        page_part = page[: channel.room_for([waiting.notification for waiting in page])]
        for position, item in page_part:
            if item.puid not in shown:
                progress.skipped.setdefault(item.puid, position)
        got = progress.sent.union(settled)
        new = [item for _, item in page_part if item.puid in shown and item.id not in got]
        if new and not channel.deliver(new, shown):
            return False
        if page_part:
            progress.position = page_part[-1].position
        if channel.session.shown is not None:
            self._inboxes.record_shown(channel.session.shown, [item.id for item in new])
        ids = {item.id for item in new}
        progress.sent |= ids
        if ids and not channel.session.acknowledges:  # discarded after they are written to the socket
            channel.when_sent(partial(self._on_written, user, channel, ids))
        return True

    # -- received notifications

    def _on_written(self, user: str, channel: DevicePort, ids: set[str]) -> None:
        """Have discarded what was written to the socket of a device without acknowledgements; never blocks."""
        channel.session.begin_progress().sent -= ids
        self._written.setdefault(user, set()).update(ids)
        self._discards.request(user)

    def _discard_written(self, user: str) -> None:
        """Discard notifications written to devices without acknowledgements, if the previous call has left any."""
        if not (written := self._written.get(user)):
            return
        ids = sorted(written)
        self.acknowledge(user, ids)
        written.difference_update(ids)
        if not written:
            del self._written[user]

    def report(self, user: str, ids: Sequence[str], outcome: NotificationOutcome) -> None:
        """Record that a device has shown or opened notifications, which it has received."""
        self._outcomes.record(user, self.acknowledge(user, ids), outcome)

    def acknowledge(self, user: str, ids: Sequence[str]) -> Received:
        """Discard notifications that a device has acknowledged; unknown ids are ignored."""
        received = self._discard_received(user, ids)
        for channel in self._hub.devices_of(user).values():
            was_full = self._full(user, channel)
            if channel.session.progress.sent:
                channel.session.begin_progress().sent -= frozenset(ids)
            if was_full:
                self.schedule(user)
        return received

    def _discard_received(self, user: str, ids: Sequence[str]) -> Received:
        received = self._outcomes.received_now(user, ids)
        self._outcomes.record(user, received, "delivered")
        count = self._mailbox.discard_received(user, ids, received.offline_to, received.at)
        self._metrics.counted["notifications delivered"] += count
        return received

    def sweep(self) -> None:
        """Resume channels whose notifications other processes may have discarded."""
        for user, _, channel in self._hub.devices():
            if self._full(user, channel):
                self.schedule(user)


def _more(page: Sequence[Waiting], position: int) -> bool:
    """Return whether more notifications may follow the position that a channel has reached in a page."""
    return len(page) == MAX_NOTIFICATIONS or (bool(page) and position < page[-1].position)
