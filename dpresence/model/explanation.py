"""The chain from a user's devices to the status that an application sees (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from . import Device, Grant, Status, merge

LinkName = Literal["devices", "override", "pause", "hours", "shows", "sent"]


class Link(NamedTuple):
    """One link of the chain.

    :param link: what determines the status from here on.
    :param status: the status after this link.
    """

    link: LinkName
    status: Status


def explain(devices: Sequence[Device], override: Status | None, grant: Grant, seen: Status) -> list[Link]:
    """Return the chain of a grant. It has the link ``devices``, and each other link that is in force.

    ``merge`` and ``Grant.shown`` compute it, as they compute what trackers append to feeds.

    :param devices: the user's live devices.
    :param seen: the status in the application's feed. Another one is on its way or postponed: then the last link is ``sent``.
    """
    links = [Link("devices", merge([device.status for device in devices]))]
    if override is not None and devices:
        links.append(Link("override", override))
    status = links[-1].status
    open_grant = replace(grant, paused=False, quiet=False, shows="status")
    in_force: list[tuple[LinkName, bool, Grant]] = [
        ("pause", grant.own_pause, replace(open_grant, paused=grant.own_pause)),
        ("hours", grant.quiet, replace(open_grant, paused=grant.quiet, quiet=grant.quiet)),
        ("shows", grant.shows != "status", replace(open_grant, shows=grant.shows)),
    ]
    for name, holds, alone in in_force:
        if holds:
            status = alone.shown(status)
            links.append(Link(name, status))
    return links if status == seen else [*links, Link("sent", seen)]
