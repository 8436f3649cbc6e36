"""Counts the calls of backends."""

from __future__ import annotations

from collections import Counter

import pytest

from dpresence.backends.directory import Directory
from dpresence.backends.mailbox import Mailbox
from dpresence.backends.tracker import Tracker
from dpresence.tests.web.support import World

ROLES = {"directory": Directory, "mailbox": Mailbox, "tracker": Tracker}


def count_calls(world: World, patch: pytest.MonkeyPatch, *roles: str) -> Counter[str]:
    """Return a counter of calls by method, which counts the calls of some backends from now on."""
    calls: Counter[str] = Counter()
    for role in roles:
        backend = getattr(world.registry.backends, role)
        for name in ROLES[role].__abstractmethods__:
            real = getattr(backend, name)
            patch.setattr(backend, name, lambda *given, real=real, name=name: calls.update([name]) or real(*given))
    return calls
