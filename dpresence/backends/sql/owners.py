"""The owners of applications, by what names an application in a call: its id, or the public id of an API key."""

from __future__ import annotations

MAX_NAMES = 20_000
"""Maximum number of names that a process remembers, about 4 MB. Then it forgets all, and learns them again by the next reads."""


class Owners:
    """Remembers what reads have found, so that the key of a call in the fair queue costs no query."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def remember(self, name: str, owner: str) -> None:
        """Remember the owner of an application, or the application of an API key. Any native thread may call it."""
        if len(self._owners) >= MAX_NAMES:
            self._owners.clear()
        self._owners[name] = owner

    def of(self, name: str) -> str:
        """Return the account that owns what has this name; else the application, or the name itself if nothing is known of it."""
        appid = self._owners.get(name, name)
        return self._owners.get(appid, appid)
