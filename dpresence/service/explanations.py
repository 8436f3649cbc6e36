"""Explains to a user the status that each application sees at present (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..backends.directory import GrantWithApplication
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable
from ..model import Account, FeedEntry, Grant, Status
from ..model.explanation import Link, explain


class ExplainedGrant(NamedTuple):
    """A user's grant, and why the application sees what it sees.

    :param chain: see ``explain``; empty if the tracker does not answer, as nothing is known then.
    """

    granted: GrantWithApplication
    chain: Sequence[Link]


class Explanations:
    """Explains what applications see. It reads their feeds, so that it cannot say anything else than what they are told."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def of(self, account: Account, granted: Sequence[GrantWithApplication]) -> Sequence[ExplainedGrant]:
        """Return the chain of each grant.

        :param account: as read for this call.
        """
        try:
            devices = self._tracker.devices(account.id)
            seen = self._tracker.latest_of(account.id, [(item.grant.appid, item.grant.puid) for item in granted])
        except BackendUnavailable:
            return [ExplainedGrant(item, ()) for item in granted]
        return [ExplainedGrant(item, explain(devices, account.override, item.grant, _status(seen, item.grant))) for item in granted]


def _status(seen: Mapping[str, FeedEntry], grant: Grant) -> Status:
    return seen[grant.puid].status if grant.puid in seen else "offline"
