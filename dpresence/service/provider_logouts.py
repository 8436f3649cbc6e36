"""Logouts that identity providers send (OpenID Connect Back-Channel Logout 1.0; docs/protocol.md, section 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from ..backends.directory import Directory
from ..errors import InvalidLogout
from ..logouts import ProviderLogout
from ..metrics import Metrics
from .accounts import Accounts
from .outbox import Outbox

log = logging.getLogger(__name__)


class ProviderLogouts:
    """Ends what an identity provider has ended."""

    def __init__(self, directory: Directory, accounts: Accounts, outbox: Outbox, metrics: Metrics) -> None:
        self._directory = directory
        self._accounts = accounts
        self._outbox = outbox
        self._metrics = metrics

    def log_out(self, verify: Callable[[], ProviderLogout], token: str, provider: str, address: str) -> None:
        """End the sign-ins that a provider's logout names: cookies, tickets and channels.

        :param verify: returns the verified logout.
        :param token: the logout token; the same wrong one is counted as a repeated failure of the address.
        :param provider: name of the provider, for the log.
        :raises InvalidLogout: the token is not valid, or was used before.
        :raises SlowDown: too many tokens from this address were not valid.
        """
        with self._metrics.provider_logout():
            for owner in self._end(verify, token, provider, address):
                self._outbox.apply_now(owner)
        self._metrics.event("logout by the identity provider")

    def _end(self, verify: Callable[[], ProviderLogout], token: str, provider: str, address: str) -> Collection[str]:
        """End what a logout names in the directory; return the owners of the entries in the outbox that this adds."""
        try:
            owners = self._directory.end_provider_session(verify())
            if owners is None:
                raise InvalidLogout("replayed")
        except InvalidLogout as refused:
            log.info("logout refused: %s (%s)", refused.details, provider)
            self._accounts.count_failure(token, address)
            raise
        return owners
