"""Outcomes of notifications whose sender asked for them (docs/protocol.md, section 5; docs/decisions/0049-outcomes.md).

An outcome that shows that somebody has a device is held until the application may know it: until its feed has shown the user as
reachable since. Other outcomes are the same whether there is a device or not, and are published at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ..backends.directory import Directory, OutboxEntry
from ..backends.mailbox import Mailbox
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound
from ..model import Application, Grant
from ..model.outcomes import FOLLOWED_PREFIX, Followed, NewFollowed, NotificationOutcome, PublishedOutcome
from ..settings import PresenceSettings
from ..tasks import on_behalf_of
from .accepted_notification import Accepted
from .coalescer import Coalescer
from .feeds import shown_until
from .grants import Grants
from .outcome_checks import FIRST_LOOKUP_MS, HELD_CHECK_MS, lookup_due, next_check
from .scheduling import yield_to_loop

SECONDS = 2.0
"""Seconds between two checks for notifications that are due."""
PAGE = 500
"""Outcomes that are read in one step, and notifications that are checked in one."""
_LEASE_MS = 30_000


class Received(NamedTuple):
    """Notifications that devices of a user have received.

    :param ids: of the notifications.
    :param offline_to: PUIDs whose applications see the user as offline; None for all.
    :param at: when, by the clock of the feed.
    """

    ids: Sequence[str]
    offline_to: Collection[str] | None
    at: int


class Outcomes:
    """Records outcomes, publishes them when that is permitted, and finds what became of notifications that left the mailbox silently.

    :param delay: returns the seconds after which to publish what shows that a user came back or was there all the time.
    """

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        grants: Grants,
        settings: PresenceSettings,
        clock: Clock,
        delay: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._grants = grants
        self._most = settings.feed_entries
        self._clock = clock
        self._releases = Coalescer("the outcomes of notifications", self._release, delay)
        self._publications = Coalescer("the publishing of outcomes", self._publish_permitted)
        self._permitted: defaultdict[str, dict[str, list[NotificationOutcome]]] = defaultdict(dict)  # by application, notification
        self._signals = Coalescer("the signal of outcomes", lambda appid: tracker.signal("outcomes", appid))
        self._queue_checks = Coalescer("a check of a full queue", self._check_queue, delay)
        self._changed: set[str] = set()  # applications whose outcomes are trimmed by the next sweep

    # -- sending

    def follow(self, appid: str, accepted: Iterable[Accepted], transient_ms: int) -> None:
        """Record the outcomes of notifications, which are stored in the mailbox after this call.

        :param transient_ms: time after which one with ``ttl`` 0 expires, stored or not, milliseconds.
        """
        new = [NewFollowed(each.notification.id, each.grant.puid, each.ttl_ms or transient_ms, each.shown_now) for each in accepted]
        self._directory.follow_outcomes(appid, new, FIRST_LOOKUP_MS)
        self._changed.add(appid)

    def record_positions(self, appid: str, accepted: Iterable[Accepted]) -> None:
        """Record the positions in the mailbox of notifications that are followed, and follow those no more that repeat others.

        The position of one that is repeated is recorded again, as the process that stored it may have ended before.
        """
        stored = list(accepted)
        if positions := {each.repeated or each.notification.id: each.position for each in stored if each.position}:
            self._directory.place_followed(appid, positions)
        self.unfollow(appid, [each for each in stored if each.repeated])

    def unfollow(self, appid: str, accepted: Sequence[Accepted]) -> None:
        """Delete what was recorded of notifications that were not stored."""
        if accepted:
            self._directory.unfollow_outcomes(appid, [each.notification.id for each in accepted])

    def check_full(self, grant: Grant) -> None:
        """Tell which notifications a full queue has dropped, after a delay. Does not block."""
        self._queue_checks.request(f"{grant.appid} {grant.user} {grant.puid}")

    # -- recording

    def received_now(self, user: str, ids: Sequence[str]) -> Received:
        """Return what a user has received just now."""
        return Received(ids, self._offline_to(user), self._clock.steady.now())

    def _offline_to(self, user: str) -> Collection[str] | None:
        """Return the PUIDs whose applications see a user as offline; None for all, also if the status cannot be determined."""
        try:
            sent, grants = self._tracker.sent_status(user), self._grants.of(user).grants
            if sent == "offline":
                return None
            # a change that is postponed for other applications may have made the user look offline to this one
            status = self._tracker.status(user) if any(grant.shows == "reachable" for grant in grants) else sent
            return [grant.puid for grant in grants if "offline" in (grant.shown(sent), grant.shown(status))]
        except BackendUnavailable:
            return None

    def record(self, user: str, received: Received, outcome: NotificationOutcome) -> None:
        """Publish or hold an outcome that a device of a user reports: ``delivered`` before the notification leaves the mailbox."""
        ids = [id_ for id_ in received.ids if id_.startswith(FOLLOWED_PREFIX)]
        if not ids:
            return
        puids = [grant.puid for grant in self._grants.of(user).grants]
        held_at = {puid: received.at if received.offline_to is None or puid in received.offline_to else 0 for puid in puids}
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            place = {id_: index for index, id_ in enumerate(some)}
            held = self._directory.hold_outcome(user, held_at, some, outcome, HELD_CHECK_MS)
            self._request_publishing(sorted(held, key=lambda each: place[each.id]))

    def _request_publishing(self, held: Iterable[Followed]) -> None:
        """Publish at once what was sent to a user who was and is shown as reachable, and the rest after a delay if permitted then.

        The user's call does not wait for it, as the developer's other calls may delay it.
        """
        for each in held:
            if each.held_at or not each.shown:
                self._releases.request(f"{each.appid} {each.puid}")  # of no other user: it would show that this one has a device
            elif each.held:
                self._permitted[each.appid][each.id] = _held(each)
                self._publications.request(each.appid)

    def _publish_permitted(self, appid: str) -> None:
        """Publish what is permitted. If the directory is unavailable, ``run`` does: it is due as everything that is held."""
        published = list(self._permitted.pop(appid, {}).items())
        with suppress(BackendUnavailable):
            for start in range(0, len(published), PAGE):
                self._publish(appid, dict(published[start : start + PAGE]))

    def record_end(self, appid: str, ids: Iterable[str], outcome: NotificationOutcome) -> None:
        """Record how notifications of an application ended that do not wait any more. Ids that are not followed are ignored.

        Held outcomes are discarded: the application saw that the notification waited until now, whatever a device has received.
        """
        published = {id_: [outcome] for id_ in ids if id_.startswith(FOLLOWED_PREFIX)}
        if published:
            self._publish(appid, published)

    def _publish(self, appid: str, published: Mapping[str, Sequence[NotificationOutcome]]) -> None:
        if self._directory.publish_outcomes(appid, published):
            self._signal(appid)

    def _signal(self, appid: str) -> None:
        self._changed.add(appid)
        self._signals.request(appid)  # what is published already is not published, and signalled, again

    def cancel(self, appid: str, puid: str, id_: str) -> None:
        """Record that a sender has cancelled a notification to a PUID."""
        if id_.startswith(FOLLOWED_PREFIX) and (found := self._directory.followed(appid, id_)) and found[0].puid == puid:
            self.record_end(appid, [id_], "cancelled")

    def revoke(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish which notifications ended with their grants, and delete what was published of them before."""
        for appid in self._directory.revoke_outcomes({entry.detail: entry.appid for entry in entries}):
            self._signal(appid)

    # -- publishing what was held

    def _release(self, grant: str) -> None:
        (appid, _, puid), after = grant.partition(" "), ""
        while held := self._directory.held_outcomes(appid, puid, after, PAGE):
            self._release_some(appid, held)
            after = held[-1].id
            yield_to_loop()

    def _release_some(self, appid: str, held: Sequence[Followed]) -> set[str]:
        """Publish what is permitted by now; return the ids of these notifications."""
        puids = list({each.puid for each in held})
        grants = self._directory.grants_by_puid(appid, puids)
        view = self._tracker.latest_of_grants(appid, list(grants.values()), allow_missing=True)
        now = self._clock.steady.now()
        published = {
            each.id: _held(each)
            for each in held
            if each.puid in grants and (not each.held_at or each.held_at < shown_until(grants[each.puid], view.get(each.puid), now))
        }
        if published:
            self._publish(appid, published)
        return set(published)

    # -- what left the mailbox silently

    def run(self) -> None:
        """Check the notifications that are due.

        :raises BackendUnavailable: a backend was unavailable for some of the applications; the others were checked.
        """
        while self._directory.outcomes_due() and self._check_round():
            pass

    def _check_round(self) -> int:
        """Check the notifications that are due, those of one application after the other; return how many this process has claimed."""
        count, more, failures = 0, True, []
        after: str | None = None
        while more:
            due, now, after = self._directory.claim_outcomes(PAGE, _LEASE_MS, after)
            more = after is not None
            count += len(due)
            for appid, some in groupby(sorted(due, key=attrgetter("appid")), attrgetter("appid")):
                try:
                    self._check(appid, list(some), now)
                except BackendUnavailable as error:
                    failures.append(error)
            yield_to_loop()
        if failures:
            raise failures[0]
        return count

    def _check(self, appid: str, due: Sequence[Followed], now: int) -> None:
        """Check notifications of an application, in the order in which they were sent: what is held changes when they are due."""
        published = self._release_some(appid, [each for each in due if each.held])
        left = sorted((each for each in due if each.id not in published), key=lambda each: (each.sent_at, each.id))
        expired = [each.id for each in left if each.ended_at is None and each.expires_at <= now]
        self.record_end(appid, expired, "expired")
        self._look_up(appid, [each for each in left if each.ended_at is None and each.expires_at > now and lookup_due(each, now)])
        later = {each.id: next_check(each, now) for each in left if each.id not in expired}
        if later:
            self._directory.postpone_outcomes(later)

    def _look_up(self, appid: str, waiting: Sequence[Followed]) -> None:
        """Look up notifications in the mailbox."""
        by_puid: dict[str, list[Followed]] = {}
        for each in waiting:
            by_puid.setdefault(each.puid, []).append(each)
        grants = self._directory.grants_by_puid(appid, list(by_puid)) if by_puid else {}
        for puid, some in by_puid.items():
            if puid in grants:
                self._end_dropped(grants[puid], some)

    def _check_queue(self, queue: str) -> None:
        appid, user, puid = queue.split(" ")
        with on_behalf_of(appid):  # which has filled the queue
            if followed := self._directory.followed_waiting(puid, PAGE):
                published = self._release_some(appid, [each for each in followed if each.held])
                left = [each for each in followed if each.id not in published]
                self._end_dropped(Grant(appid, puid, user, granted_at=0, since=0), left)

    def _end_dropped(self, grant: Grant, followed: Sequence[Followed]) -> None:
        """Publish which notifications of a queue were dropped: those before the oldest that it counts."""
        first = self._mailbox.first_position(grant.user, grant.puid)
        dropped = [each.id for each in followed if each.position is not None and (first is None or each.position < first)]
        self.record_end(grant.appid, dropped, "dropped")

    # -- reading

    def read(self, appid: str, after: int, limit: int = PAGE) -> Sequence[PublishedOutcome]:
        """Return the outcomes of an application after a position."""
        return self._directory.outcomes(appid, after, limit)

    def find(self, application: Application, id_: str) -> tuple[Followed, Sequence[PublishedOutcome]]:
        """Return a notification of an application and its published outcomes.

        :raises NotFound: it is unknown, nobody asked for its outcomes, or it has ended and they are deleted.
        """
        found = self._directory.followed(application.id, id_)
        if found is None or (found[0].ended_at is not None and not found[1]):
            raise NotFound()
        return found

    def sweep(self) -> None:
        """Delete what exceeds the limit of each application."""
        for appid in list(self._changed):
            self._directory.trim_outcomes(appid, self._most)
            self._changed.discard(appid)


def _held(each: Followed) -> list[NotificationOutcome]:
    return each.held.split()  # type: ignore[return-value]
