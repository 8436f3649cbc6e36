"""Pairing of devices, and the credentials that they get (docs/protocol.md, sections 2 and 6; RFC 8628)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..addresses import network
from ..backends.directory import Directory, PairedDevice, SignedIn
from ..clock import Clock
from ..errors import Conflict, InvalidAssertion, NotFound, PairingIncomplete
from ..limits import Buckets, RateLimit
from ..metrics import Metrics
from ..model import Account, DeviceCredential, Pairing, digest_of
from ..settings import IdentitySettings
from .accounts import Accounts
from .outbox import Outbox
from .qr_codes import QrCodes
from .sign_in import SignIn

CREDENTIAL_PREFIX = "device:"
POLL_SECONDS = 5
"""Shortest time between two polls of a device: RFC 8628, section 3.5."""
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters of user codes: without vowels, so that they form no words (RFC 8628, section 6.1)."""
CODE_LENGTH = 8
WRONG_CODES_PER_HOUR = 20
MAX_PAIRINGS = 10_000
"""Maximum number of pairings that begin in ten minutes at one process."""
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Started:
    """A pairing that has begun.

    :param device_code: the secret of which the pairing stores the hash.
    """

    pairing: Pairing
    device_code: str


class Pairings:
    """Service methods for pairings and credentials of devices.

    :ivar qr_codes: draws the address of the page where a user enters a code.
    """

    def __init__(
        self, directory: Directory, accounts: Accounts, outbox: Outbox, metrics: Metrics, settings: IdentitySettings, clock: Clock
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._outbox = outbox
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._begun = RateLimit("too many pairings from this address", settings.pairings_per_hour, 3600, clock)
        self._all = RateLimit("too many pairings", MAX_PAIRINGS, 600, clock)
        self._wrong = RateLimit("too many wrong codes", WRONG_CODES_PER_HOUR, 3600, clock)
        self.qr_codes = QrCodes(settings.pairings_per_hour, clock)
        self._polls = Buckets(1 / POLL_SECONDS, 2)

    # -- the device

    def begin(self, device: str, client: str, address: str) -> Started:
        """Begin a pairing.

        :param address: the address from which the device asks.
        :raises SlowDown: too many pairings began at this address, or at this process.
        """
        self._begun.charge(network(address))
        self._all.charge("")
        device_code, family = secrets.token_urlsafe(32), secrets.token_urlsafe(12)
        expires_at = self._clock.steady.now() + self._settings.pairing_seconds * 1000
        while True:
            pairing = Pairing(digest_of(device_code), _new_code(), device, client, address, family, expires_at)
            if self._directory.add_pairing(pairing):
                return Started(pairing, device_code)

    def redeem(self, device_code: str, address: str) -> tuple[str, PairedDevice]:
        """Return the credential of a pairing that the user has allowed.

        :raises PairingIncomplete: the user has not answered yet or has refused, the device polls too often, or the code is not valid.
        :raises SlowDown: too many codes from this address were not valid.
        """
        hash, now = digest_of(device_code), self._clock.steady.now()
        pairing = self._directory.pairing(hash, now)
        if pairing is None:
            self._accounts.count_failure(device_code, address)
            raise PairingIncomplete("expired_token")
        wait = self._polls.take(hash.hex(), now=self._clock.monotonic())
        if wait:
            raise PairingIncomplete("slow_down", retry_after=ceil(wait))
        if pairing.state == "waiting":
            raise PairingIncomplete("authorization_pending", retry_after=POLL_SECONDS)
        if pairing.state == "denied":
            raise PairingIncomplete("access_denied")
        credential = CREDENTIAL_PREFIX + secrets.token_urlsafe(32)
        paired = self._directory.add_credential(hash, now, digest_of(credential), self._expiry(now))
        if paired is None:
            raise PairingIncomplete("expired_token")
        self._outbox.apply_now(paired.account.id)  # signs out a device of the same name that was paired before
        self._metrics.event("device paired", paired.account.email)
        return credential, paired

    def sign_in(self, credential: str, address: str, device: str | None) -> SignIn:
        """Sign a device in with its credential, which this renews.

        :param device: name that the device has given, or None.
        :raises InvalidAssertion: the credential is not valid, or the account is blocked.
        :raises Conflict: it is for another device name.
        :raises SlowDown: too many credentials from this address were not valid.
        """
        with self._metrics.sign_in("credential"):
            return self._sign_in(credential, address, device)

    def _sign_in(self, credential: str, address: str, device: str | None) -> SignIn:
        hash, now = digest_of(credential), self._clock.steady.now()
        found = self._directory.credential(hash, now)
        if found is None or found.account.blocked:
            raise self._accounts.refusal(InvalidAssertion("device credential"), credential, address)
        paired = found.credential
        if device not in (None, paired.device):
            raise Conflict("device: differs from that of the credential")
        if paired.used_at is None or now - paired.used_at >= _DAY_MS:
            self._directory.renew_credential(hash, now, self._expiry(now))
        ends_at = now + self._settings.session_seconds * 1000
        return SignIn(found.account, ends_at, paired.device, paired.family)

    def _expiry(self, now: int) -> int:
        return now + self._settings.credential_seconds * 1000

    # -- the user

    def find(self, code: str, user: str, address: str) -> Pairing:
        """Return the pairing whose code a user has entered.

        :raises NotFound: there is none, or it has expired or was answered.
        :raises SlowDown: the user or the address has entered too many wrong codes.
        """
        self._wrong.check(user)
        pairing = self._directory.waiting_pairing(canonical_code(code), self._clock.steady.now())
        if pairing is None:
            raise self._wrong_code(code, user, address)
        return pairing

    def answer(self, code: str, allow: bool, signed_in: SignedIn, address: str) -> None:
        """Allow or deny a pairing.

        :raises NotFound: see ``find``; also SlowDown.
        """
        user = signed_in.account.id
        self._wrong.check(user)
        if not self._directory.answer_pairing(canonical_code(code), self._clock.steady.now(), user, allow, signed_in):
            raise self._wrong_code(code, user, address)

    def _wrong_code(self, code: str, user: str, address: str) -> NotFound:
        self._wrong.record(user)
        self._accounts.count_failure(code, address)
        return NotFound("code: there is no such code, or it has expired")

    def list(self, account: Account) -> Sequence[DeviceCredential]:
        """Return the credentials of a user's devices."""
        return self._directory.credentials(account.id, self._clock.steady.now())


def _new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))


def canonical_code(entered: str) -> str:
    """Return the code that a user has entered in its stored form: capital letters only."""
    return "".join(char for char in entered.upper() if char in CODE_LETTERS)


def shown_code(code: str) -> str:
    """Return a code as people read it: ``WDJB-MJHT``."""
    return f"{code[:4]}-{code[4:]}"
