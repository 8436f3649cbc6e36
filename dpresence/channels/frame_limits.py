"""Limits on the frames of a peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from ..limits import RateRule, rate_rule


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Limits on the frames of one peer.

    :param message_bytes: maximum size of a message; a larger one is closed with 1009.
    :param rate: frames per second.
    :param burst: frames at once; more are closed with 1008.
    :param fragments: maximum number of frames of a message; more are closed with 1008.
    :ivar rule: ``rate`` and ``burst`` as a rule.
    """

    message_bytes: int
    rate: float
    burst: int
    fragments: int
    rule: RateRule = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Create ``rule``, which all connections with these limits share."""
        object.__setattr__(self, "rule", rate_rule(self.rate, self.burst))


frame_limits = cache(FrameLimits)
"""Return the ``FrameLimits`` of four numbers, which all channels of a kind share."""
