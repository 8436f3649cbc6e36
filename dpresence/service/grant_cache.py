"""The cache of grants of a process."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from ..backends.directory import Directory
from ..model import GrantSet

_MAX_USERS = 100_000


class GrantCache:
    """Stores the grants of each user. A load during which the user is invalidated is not stored.

    :ivar get: returns the stored grants of a user, None without any.
    :ivar invalidations: number of calls of ``invalidate`` and ``clear``.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.invalidations = 0
        self._grants: dict[str, GrantSet] = {}  # oldest first; an ordered dict takes 90 bytes more for each user
        self._loading: dict[str, object] = {}
        self.get = self._grants.get  # not a method that calls it: each update needs it twice

    def load(self, user: str) -> GrantSet:
        """Load the grants of a user."""
        while True:
            token = self._loading.setdefault(user, object())  # shared by concurrent loads; an invalidation removes it
            try:
                grants = self._directory.grants_of_user(user)
            finally:
                valid = self._loading.get(user) is token
                if valid:
                    del self._loading[user]
            if valid:
                self._store(user, grants)
                return grants
            if user in self._grants:  # a concurrent load has stored them
                return self._grants[user]

    def load_all(self, users: Collection[str]) -> None:
        """Load the grants of some users in one call."""
        tokens = {user: self._loading.setdefault(user, object()) for user in users}
        try:
            found = self._directory.grants_of_users(users)
        finally:
            valid = [user for user, token in tokens.items() if self._loading.get(user) is token]
            for user in valid:
                del self._loading[user]
        for user in valid:
            self._store(user, found[user])

    def offer(self, user: str, grants: GrantSet, invalidations: int) -> None:
        """Store grants that were read with something else, unless any were invalidated since.

        :param invalidations: ``invalidations`` before the read.
        """
        if invalidations == self.invalidations:
            self._store(user, grants)

    def _store(self, user: str, grants: GrantSet) -> None:
        """Store grants. A full cache discards its oldest tenth at once: finding the first key of a dict again and again is slow."""
        if user not in self._grants and len(self._grants) >= _MAX_USERS:
            for oldest in list(islice(self._grants, _MAX_USERS // 10)):
                del self._grants[oldest]
        self._grants[user] = grants

    def invalidate(self, user: str) -> None:
        """Discard the grants of a user."""
        self.invalidations += 1
        self._grants.pop(user, None)
        self._loading.pop(user, None)

    def clear(self) -> None:
        """Discard all grants."""
        self.invalidations += 1
        self._grants.clear()
        self._loading.clear()
