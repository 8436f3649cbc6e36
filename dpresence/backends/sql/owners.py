"""Which account owns what a call names: an application, an API key, a browser session or an e-mail address."""

from __future__ import annotations

MAX_NAMES = 20_000
"""Maximum number of names that a process remembers, about 5 MB. Then it forgets all, and learns them again by the next reads."""


class Owners:
    """Remembers what reads have found, so that the key of a call in the fair queue costs no query."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def remember(self, name: str, owner: str) -> None:
        """Remember the account that owns something, or the application of an API key. Any native thread may call it.

        :param name: as ``transactions.owner_of`` has it.
        """
        if len(self._owners) >= MAX_NAMES:
            self.forget()
        self._owners[name] = owner

    def forget(self) -> None:
        """Forget all; the next reads find them again."""
        self._owners.clear()

    def knows(self, name: str) -> bool:
        """Return whether the owner of what has this name is remembered."""
        return name in self._owners

    def of(self, name: str) -> str:
        """Return the account that owns what has this name; else the application, or the name itself if nothing is known of it."""
        owner = self._owners.get(name, name)
        return self._owners.get(owner, owner)
