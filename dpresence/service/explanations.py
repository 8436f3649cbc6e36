"""Explains to a user the status that each application sees at present (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..backends.directory import GrantWithApplication
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable
from ..model import Account, Grant, Status
from ..model.explanation import Link, explain
from .scheduling import call_together


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
            seen = dict(call_together(self._seen, [item.grant for item in granted]))
        except BackendUnavailable:
            return [ExplainedGrant(item, ()) for item in granted]
        return [ExplainedGrant(item, explain(devices, account.override, item.grant, seen[item.grant.puid])) for item in granted]

    def _seen(self, grant: Grant) -> tuple[str, Status]:
        entry = self._tracker.latest(grant.appid, [grant.puid]).get(grant.puid)
        return grant.puid, entry.status if entry else "offline"
