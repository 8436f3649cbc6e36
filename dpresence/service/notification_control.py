"""Checks of notifications; topic, idempotency key and urgency, by which an application controls one (docs/decisions/0050-control.md)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from time import perf_counter

from gevent.lock import BoundedSemaphore

from ..backends.mailbox import TopicAndKey
from ..domains import check_action
from ..errors import BadAction, WrongValue
from ..messages import NewNotification
from ..model import Application
from ..web_addresses import refusal
from .scheduling import yield_to_loop

PUSHED = ("normal", "high")
"""Urgencies with which a notification is pushed."""
_TOPIC_CHARACTERS = 32
"""Length of a ``Topic`` (RFC 8030, section 5.4)."""
_SLICE_SECONDS = 0.001
"""Seconds of checks before the event loop runs other work. One step may take longer: a long source in many scripts takes milliseconds."""


class TextChecks:
    """Checks the texts of notifications, for one request at a time where that takes long, so that many requests delay nobody else."""

    def __init__(self) -> None:
        self._slice = BoundedSemaphore(1)

    def check(self, application: Application, items: Sequence[NewNotification]) -> None:
        """Check the actions, messages and sources of notifications, and bring the sources to their stored form.

        :raises BadAction: an ``action`` is not allowed.
        :raises WrongValue: a ``message`` or ``source`` is not allowed, or a ``source`` looks like another domain.
        """
        steps = _steps(application.domain, items)
        while not self._run_slice(steps):
            pass

    def _run_slice(self, steps: Iterator[None]) -> bool:
        """Run steps for a slice, and return whether all are done. If not, the event loop has run other work."""
        with self._slice:
            end = perf_counter() + _SLICE_SECONDS
            for _ in steps:
                if perf_counter() > end:
                    yield_to_loop()  # while other requests wait: each iteration of the loop has one slice
                    return False
        return True


def _steps(domain: str, items: Sequence[NewNotification]) -> Iterator[None]:
    """Check the texts of notifications in steps of up to some milliseconds."""
    for index, item in enumerate(items):
        try:
            check_action(item.action, domain)
        except BadAction as error:
            raise BadAction(f"notifications[{index}].{error.error}") from None
        yield
    for index, item in enumerate(items):
        try:
            yield from item.check_texts()
        except ValueError as error:
            raise WrongValue(f"notifications[{index}].{error}") from None
        if item.source and (refused := refusal(item.source, domain)):
            raise WrongValue(f"notifications[{index}].source: {refused}")
        yield


def control_of(item: NewNotification) -> TopicAndKey | None:
    """Return the topic and the idempotency key of a notification, None if it has neither."""
    if item.topic is None and item.idempotency is None:
        return None
    return TopicAndKey(item.topic or "", item.idempotency or "", _digest(item) if item.idempotency else "")


def _digest(item: NewNotification) -> str:
    content = (item.message, item.action, item.source or "", item.ttl, item.topic or "", item.urgency)
    return sha256(repr(content).encode()).hexdigest()


def check_distinct(items: Sequence[NewNotification]) -> None:
    """Check that no topic and no idempotency key is there twice for one PUID.

    :raises WrongValue: one is.
    """
    seen: set[tuple[str, str, str]] = set()
    for index, item in enumerate(items):
        for name, value in (("topic", item.topic), ("idempotency", item.idempotency)):
            if value is not None:
                if (item.puid, name, value) in seen:
                    raise WrongValue(f"notifications[{index}].{name}: twice for one PUID in one request")
                seen.add((item.puid, name, value))


def push_topic(puid: str, topic: str) -> str:
    """Return the ``Topic`` of a push, from which the push service learns neither the topic nor the PUID."""
    return urlsafe_b64encode(sha256(f"{puid} {topic}".encode()).digest())[:_TOPIC_CHARACTERS].decode()
