"""Fetching of domain proofs, the only requests to addresses that users choose (docs/protocol.md, section 6)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from gevent.event import Event

from .domains import check_domain, loopback_port
from .errors import ProofFailed, WrongValue
from .networks import is_public, look_up
from .outbound import FetchFailed, Resolve, Scheme, Target
from .public_fetcher import public_fetcher
from .settings import OutboundSettings
from .slots import Slots, run_until_slot_is_needed

log = logging.getLogger(__name__)

PATH = "/__presence"
FETCHES_IN_FLIGHT = 100
FETCHES_OF_OWNER = 2
MIN_FETCH_SECONDS = 1.0
"""Seconds after which a fetch ends if another one waits for a slot. A working web server answers within this time."""


class DomainProofs:
    """Fetches domain proofs, with a limit on concurrent fetches in total and per owner.

    :param resolve: function that resolves a name.
    :param is_public: function that returns whether connections to an address are allowed, besides ``outbound.allow_networks``.
    :param ports: ports of https and http.
    :raises SettingError: ``outbound.ca_file`` cannot be read.
    """

    def __init__(
        self,
        settings: OutboundSettings,
        *,
        resolve: Resolve = look_up,
        is_public: Callable[[str], bool] = is_public,
        ports: tuple[int, int] = (443, 80),
    ) -> None:
        self._settings = settings
        self._ports = dict(zip(("https", "http"), ports, strict=True))
        self._slots = Slots(FETCHES_IN_FLIGHT, FETCHES_OF_OWNER)
        self._fetcher = public_fetcher(
            settings, seconds=settings.timeout_seconds, body_bytes=settings.body_bytes, resolve=resolve, is_public=is_public
        )

    def fetch(self, domain: str, owner: str = "") -> tuple[str, Scheme]:
        """Fetch ``/__presence`` of a domain; return its text, without byte order mark and surrounding whitespace, and the scheme.

        Plain http is tried only where the https port refuses the connection.

        :param domain: as ``domains.check_domain`` returned it.
        :param owner: the account that requests it; "" for the service itself, to which the limits do not apply.
        :raises ProofFailed: ``details`` is the class of the failure. It contains nothing else, so that a fetch cannot be used as a
            port scanner; the log has the reason. ``dns``: the name has no address or one that is not public. ``refused``: the port
            is closed. ``tls``: the handshake failed. ``timeout``: look-up, connection or response took too long. ``size``: the
            response is too long. ``status``: any other failure to answer with status 200.
        :raises SlowDown: this owner has too many fetches in flight, or no slot became free in time.
        """
        with self._slot(owner) as wanted:
            outcome = self._fetch_in_slot(domain, wanted)
        if isinstance(outcome, FetchFailed):
            log.info("the proof of %s failed: %s: %s", domain, outcome.failure, outcome)
            raise ProofFailed(f"{ProofFailed.text}: {outcome.failure}", details=outcome.failure)
        return outcome

    def _slot(self, owner: str) -> AbstractContextManager[Event]:
        patience = math.ceil(self._settings.timeout_seconds)
        return self._slots.slot(owner, "domains are being validated", patience) if owner else nullcontext(Event())

    def _fetch_in_slot(self, domain: str, wanted: Event) -> tuple[str, Scheme] | FetchFailed:
        """Fetch within the deadline, or within ``MIN_FETCH_SECONDS`` while another fetch waits for the slot."""
        outcome = run_until_slot_is_needed(lambda: self._try(domain), wanted, MIN_FETCH_SECONDS)
        return outcome or FetchFailed("timeout", "no answer within 1 s, and another fetch waited", f"https://{domain}{PATH}")

    def _try(self, domain: str) -> tuple[str, Scheme] | FetchFailed:
        try:
            with self._fetcher.deadline():
                return self._fetch(check_domain(domain, self._settings.allow_loopback))
        except WrongValue as error:
            return FetchFailed("dns", error.error)
        except FetchFailed as failed:
            return failed

    def _fetch(self, domain: str) -> tuple[str, Scheme]:
        port = loopback_port(domain)
        if port is not None:
            return self._get(Target("http", domain.partition(":")[0], port, domain, PATH), ["127.0.0.1"])
        targets = [Target(scheme, domain, self._ports[scheme], domain, PATH) for scheme in ("https", "http")]
        addresses = self._fetcher.addresses(targets[0])
        try:
            return self._get(targets[0], addresses)
        except FetchFailed as failed:
            if failed.failure != "refused":
                raise
            if not self._settings.http_proof:
                failed.cause += "; outbound.http_proof is false"
                raise
            refused = f"{failed}; "
        try:
            return self._get(targets[1], addresses)
        except FetchFailed as failed:
            failed.where = refused + failed.where
            raise

    def _get(self, target: Target, addresses: list[str]) -> tuple[str, Scheme]:
        response = self._fetcher.request("GET", target, addresses=addresses, headers={"Accept": "text/plain, */*"})
        log.info("the proof of %s was fetched: %s", target.authority, response.where)
        return _text(response.body), target.scheme


def _text(body: bytes) -> str:
    """Return a body as text, without the byte order mark and the final line feed that editors add."""
    utf16 = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    return body.decode("utf-16" if utf16 else "utf-8-sig", "replace").strip()
