"""Accounts: sign-in and sign-out, browser sessions, tickets, and erasure (docs/protocol.md, sections 2 and 6)."""

from __future__ import annotations

import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..backends.directory import Directory, OutboxEntry, Requester, SignedIn
from ..backends.mailbox import Mailbox
from ..clock import Clock
from ..errors import Conflict, InvalidAssertion, NotAdmitted, Refused, SessionEnded
from ..hub import DeviceSession
from ..identity import Verifiers
from ..limits import RateLimit
from ..metrics import Metrics, masked
from ..model import Account, Identity, Session, Ticket, digest_of
from ..settings import IdentitySettings
from ..tasks import on_behalf_of
from .failed_sign_ins import FailedSignIns
from .grants import Grants
from .outbox import Outbox
from .sign_in import SignIn

log = logging.getLogger(__name__)
T = TypeVar("T")

TICKET_PREFIX = "ticket:"
ERASURES_PER_HOUR = 5


def csrf_token(cookie: str) -> str:
    """Return the CSRF token of a browser session; only the holder of the cookie and the service's own pages can know it."""
    return urlsafe_b64encode(digest_of(f"csrf:{cookie}")).rstrip(b"=").decode()


class Accounts:
    """Service methods for accounts.

    :param verifiers: the verifiers of assertions.
    :param failures: rate limit of failed sign-ins.
    """

    def __init__(
        self,
        directory: Directory,
        mailbox: Mailbox,
        verifiers: Verifiers,
        grants: Grants,
        outbox: Outbox,
        failures: FailedSignIns,
        metrics: Metrics,
        settings: IdentitySettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._mailbox = mailbox
        self._verifiers = verifiers
        self._grants = grants
        self._outbox = outbox
        self._failures = failures
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._logins = RateLimit("too many sign-ins of this account", settings.logins_per_hour, 3600, clock)
        self._tickets = RateLimit("too many tickets of this account", settings.tickets_per_hour, 3600, clock)
        self._erasures = RateLimit("this e-mail's account was erased too often", ERASURES_PER_HOUR, 3600, clock)

    # -- sign-in

    def verify(self, assertion: str, address: str, for_device: bool = False) -> Account:
        """Verify an assertion and return its account.

        :param for_device: it is to open a device channel.
        :raises InvalidAssertion: the assertion is invalid, or the account is blocked.
        :raises Conflict: the account is pinned to another issuer or subject.
        :raises SlowDown: too many assertions were invalid.
        """
        return self._verify(assertion, address, for_device)[0]

    def _verify(self, assertion: str, address: str, for_device: bool) -> tuple[Account, Identity]:
        with self._metrics.sign_in(self._verifiers.name_of(assertion)):
            identity = self._verified(lambda: self._verifiers.verify(assertion, for_device), assertion, address)
            return self._account_of(identity, assertion, address), identity

    def _account_of(self, identity: Identity, credential: str, address: str) -> Account:
        if self._has_ended(identity):
            raise self.refusal(InvalidAssertion("logged_out", about=f"{masked(identity.email)}, {identity.issuer}"), credential, address)
        try:
            account = self._directory.sign_in(identity, self._clock.now())
        except Conflict:
            self._metrics.event("sign-in refused: pinned to another issuer or subject", identity.email)
            log.info("sign-in refused: pinned to another issuer or subject (%s, %s)", masked(identity.email), identity.issuer)
            raise
        if account.blocked:
            self._metrics.event("sign-in refused: blocked", identity.email)
            raise self.refusal(NotAdmitted("blocked", f"{masked(identity.email)}, {identity.issuer}"), credential, address)
        return account

    def _has_ended(self, identity: Identity | None) -> bool:
        """Return whether the identity provider has ended the sign-in since."""
        return identity is not None and identity.began_at is not None and self._directory.has_ended(identity)

    def _verified(self, verify: Callable[[], T], credential: str, address: str) -> T:
        """Return the result of a verification; a failure counts for the client's address."""
        try:
            return verify()
        except InvalidAssertion as refused:
            raise self.refusal(refused, credential, address) from None

    def refusal(self, refused: InvalidAssertion, credential: str, address: str) -> InvalidAssertion:
        """Count and log a failed sign-in.

        :raises SlowDown: there were too many.
        """
        self.count_failure(credential, address)
        log.info("sign-in refused: %s", f"{refused.reason} ({refused.about})" if refused.about else refused.reason)
        return refused

    def count_failure(self, credential: str, address: str) -> None:
        """Count a credential that is not valid.

        :raises SlowDown: this address has presented too many.
        """
        self._failures.record(address, credential)

    def sign_in(self, assertion: str, address: str, device: str | None = None, ticket: bool = False) -> SignIn:
        """Sign a device in with an assertion, or with a ticket, which is used up.

        :param device: name that the device has chosen, or None.
        :param ticket: issue a ticket for the next connection. A ticket in exchange for another one does not count against the limit.
        :raises InvalidAssertion: see ``verify``.
        :raises SlowDown: see ``verify``; also if too many tickets were issued to the account.
        """
        if assertion.startswith(TICKET_PREFIX):
            with self._metrics.sign_in("ticket"):
                return self._redeem(assertion, address, device, ticket)
        account, identity = self._verify(assertion, address, for_device=True)
        ends_at = self._clock.steady.now() + self._settings.session_seconds * 1000
        if not ticket:
            return SignIn(account, ends_at, device, identity=identity)
        self._tickets.charge(account.id)
        value, family = _new_ticket(), secrets.token_urlsafe(12)
        added = Ticket(digest_of(value), family, account.id, ends_at, ends_at, None, device, identity.provider_session)
        self._directory.add_ticket(added, account, identity)
        return SignIn(account, ends_at, device, family, value, identity)

    def _redeem(self, value: str, address: str, device: str | None, again: bool) -> SignIn:
        successor = _new_ticket() if again else None
        digest = digest_of(value)
        used = self._grants.use_ticket(digest, self._clock.steady.now(), device, digest_of(successor) if successor else None)
        if used is None or used.account.blocked:
            raise self.refusal(InvalidAssertion("ticket"), value, address)
        ticket = used.ticket
        if not used.good:  # the ticket was copied: every connection of its family must sign in again
            self._outbox.apply_now(ticket.user)
            raise self.refusal(InvalidAssertion("ticket used before", about=masked(used.account.email)), value, address)
        return SignIn(used.account, ticket.session_ends_at, ticket.device, ticket.family, successor, digest=digest)

    def current(self, sign_in: SignIn) -> Account | None:
        """Return the account of a sign-in, as it is now, if that is still valid after concurrent log-outs, erasures, blocks and unpins."""
        with on_behalf_of(sign_in.account.id):
            account = self._directory.account(sign_in.account.id)
            if account is None or account.pin != sign_in.account.pin or not self._may_stay(account, sign_in.family):
                return None
            return None if self._has_ended(sign_in.identity) else account

    def still_signed_in(self, user: str, session: DeviceSession) -> bool:
        """Return whether a user's channel may stay signed in: its ticket family exists, and the provider has not ended its session."""
        with on_behalf_of(user):
            account, key = self._directory.account(user), session.provider_session
            ended = key is not None and self._directory.provider_session_ended(key, session.began_at)
            return account is not None and self._may_stay(account, session.family) and not ended

    def _may_stay(self, account: Account, family: str | None) -> bool:
        return not account.blocked and (family is None or self._directory.family_exists(family))

    # -- browser sessions

    def login(self, assertion: str, address: str, previous: str = "") -> tuple[Account, str]:
        """Open a browser session with an assertion, which can be used for this only once.

        :param previous: cookie of the browser's previous session, which ends.
        :returns: the account and the value of the session's cookie.
        :raises InvalidAssertion: see ``verify``; also if the assertion has been used for a session before.
        """
        with self._metrics.sign_in(self._verifiers.name_of(assertion)):
            identity, digest = self._verified(
                lambda: (self._verifiers.verify(assertion), self._verifiers.digest(assertion)), assertion, address
            )
            return self._open_session(identity, assertion, address, previous, digest)

    def login_with_provider(self, verify: Callable[[], Identity], attempt: str, address: str, previous: str = "") -> tuple[Account, str]:
        """Open a browser session for the identity that ``verify`` returns: the last step of a sign-in at a provider.

        :param attempt: name of this sign-in.
        :param previous: see ``login``.
        :returns: see ``login``.
        :raises InvalidAssertion: see ``verify``; also Conflict and SlowDown.
        """
        with self._metrics.sign_in("oidc"):
            with self._failures.slot(address):
                identity = self._verified(verify, attempt, address)
            return self._open_session(identity, attempt, address, previous)

    def _open_session(
        self, identity: Identity, credential: str, address: str, previous: str, digest: bytes | None = None
    ) -> tuple[Account, str]:
        """Open a session. The assertion's ``digest`` is recorded as used last, so that a refused log-in does not use it up."""
        now, cookie = self._clock.steady.now(), secrets.token_urlsafe(32)
        account = self._account_of(identity, credential, address)
        self._logins.check(account.id)
        if digest is not None and not self._directory.use_assertion(digest, identity.expires_at):
            raise self.refusal(InvalidAssertion("replayed", about=masked(identity.email)), credential, address)
        self._logins.record(account.id)
        ends_at = now + self._settings.session_seconds * 1000
        session = Session(digest_of(cookie), account.id, now, ends_at, identity.provider_session)
        for user in self._directory.add_session(session, account, digest_of(previous) if previous else None, identity):
            self._outbox.apply_now(user)  # closes channels of the previous session's tickets, which could not be ended later
        self._metrics.event("browser sign-in", account.email)
        return account, cookie

    def session(self, cookie: str) -> SignedIn:
        """Return the session of a cookie and its account.

        :raises SessionEnded: the session does not exist or has expired, or the account is blocked.
        """
        signed_in = self._directory.session(digest_of(cookie), self._clock.steady.now())
        if signed_in is None or signed_in.account.blocked:
            raise SessionEnded()
        return signed_in

    def logout(self, session: Session, everywhere: bool) -> None:
        """End a session with its tickets and their channels, or all sessions and tickets of the user."""
        if everywhere:
            self._directory.end_sessions(session.user)
        else:
            self._directory.end_session(session.id_hash)
        self._outbox.apply_now(session.user)

    def issue_ticket(self, signed_in: SignedIn) -> str:
        """Return a ticket with which a page can connect as a device.

        :raises SlowDown: too many tickets were issued to the account.
        """
        session = signed_in.session
        self._tickets.charge(session.user)
        value, now = _new_ticket(), self._clock.steady.now()
        ticket = Ticket(
            digest_of(value),
            secrets.token_urlsafe(12),
            session.user,
            expires_at=now + self._settings.ticket_seconds * 1000,
            session_ends_at=session.expires_at,
            session=session.id_hash,
        )
        self._directory.add_ticket(ticket, signed_in)
        return value

    # -- erasure and expiry

    def erase(self, account: Account, requester: Requester | None = None) -> None:
        """Erase an account and its applications. Applications with a grant are sent ``revoked``; the user's own applications are deleted.

        :raises SlowDown: accounts of this e-mail address were erased too often. A new account starts with unused rate
            limits, so no other limit would slow down a user who erases their account repeatedly.
        """
        key = digest_of(account.email).hex()  # hashed, as the e-mail address must not be stored after the erasure
        self._erasures.charge(key)
        try:
            self._directory.erase(account.id, requester)
        except Refused:
            self._erasures.give(key)
            raise
        self._outbox.apply_now(account.id)
        self._metrics.event("account erased")

    def purge_erased(self, entries: Sequence[OutboxEntry]) -> None:
        """Discard the undelivered notifications and the inboxes of erased users; the inbox of a merged one is moved before."""
        for entry in entries:
            if entry.detail:
                self._mailbox.move_inbox(entry.user, entry.detail)
            self._mailbox.purge(entry.user)

    def sweep(self) -> None:
        """Delete expired data."""
        self._directory.sweep()


def _new_ticket() -> str:
    return TICKET_PREFIX + secrets.token_urlsafe(32)
