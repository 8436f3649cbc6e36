"""Signals with several values (docs/architecture.md, Signals). A tracker carries a signal as its topic and one text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..backends.tracker import Topic

_FIELDS: dict[Topic, tuple[str, ...]] = {
    "account": ("revision",),
    "ticket": ("family",),
    "device": ("device", "revision"),
    "replaced": ("device", "connection"),
    "logout": ("revision",),
}
"""Names of the values that follow the owner in the text of a signal, for the topics that have any."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal of one topic.

    :param owner: id of an account or application, ``""`` for all; the key of an identity provider's session for ``logout``.
    :param revision: sign-ins before this revision of the account have ended; for ``logout``: that began until this time.
    :param connection: id of the connection that was replaced.
    """

    topic: Topic
    owner: str
    device: str = ""
    revision: int = 0
    family: str = ""
    connection: str = ""

    @property
    def key(self) -> str:
        """The text that ``parse`` reads. No value contains a space."""
        return " ".join([self.owner, *(str(getattr(self, name)) for name in _FIELDS.get(self.topic, ()))])

    @classmethod
    def parse(cls, topic: Topic, key: str) -> Self:
        """Return the signal of a topic and a text."""
        owner, *values = key.split(" ")
        given = dict(zip(_FIELDS.get(topic, ()), values, strict=True))
        revision = int(given.get("revision", 0))
        return cls(topic, owner, given.get("device", ""), revision, given.get("family", ""), given.get("connection", ""))
