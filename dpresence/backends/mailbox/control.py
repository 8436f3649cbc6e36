"""Control of notifications by their application: topics, idempotency keys and cancels (docs/decisions/0050-control.md).

The store remembers the last notification of each topic, and the one of each idempotency key, for each grant. A name of either kind is
remembered as long as it has an effect, and the newest ``MAX_NAMES`` of each kind at most.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

KEY_MS = 86_400_000
"""Milliseconds for which an idempotency key is remembered."""
REUSED = "idempotency: {} was used for another notification of this PUID within a day"
MAX_NAMES = 500
"""Maximum number of topics, and of idempotency keys, that are remembered of one grant."""


@dataclass(frozen=True, slots=True)
class TopicAndKey:
    """The topic and the idempotency key of a notification. No two notifications of one call to a grant have the same topic or key.

    :param topic: the notification replaces the one of this topic that waits; "" for none.
    :param key: the idempotency key: a later notification with it is the same one; "" for none.
    :param digest: of the content; notifications with the same key have the same content.
    """

    topic: str = ""
    key: str = ""
    digest: str = ""


class ControlledMailbox(ABC):
    """Part of ``Mailbox``. Every method may raise ``BackendUnavailable``."""

    @abstractmethod
    def cancel(self, user: str, puid: str, id_: str) -> bool:
        """Delete a notification from its queue, and from the inbox unless it was read; return whether anything was deleted.

        One that the user has received, and that is only counted, is counted no more.
        """
