"""Sessions of devices on channels: sign-in, renewal, and the check against concurrent sign-outs (docs/protocol.md, section 3)."""

from __future__ import annotations

from msgspec import Struct

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, OtherEmail, WrongField
from ..hub import PROOF_BYTES, REPLACED, DevicePort, Hub
from ..messages import OverrideUpdate, StatusUpdate
from ..model import Account, canonical_email, digest_of
from ..settings import IdentitySettings
from .accounts import Accounts
from .delivery import Delivery
from .devices import Devices
from .inboxes import Inboxes
from .pairing import CREDENTIAL_PREFIX, Pairings
from .sign_in import SignIn


class VerifiedSignIn(Struct, frozen=True):
    """A verified assertion, ticket or device credential.

    :param digest: the first bytes of its digest; a device may repeat it in later frames. Empty if a repetition is verified again.
    :param sign_outs: ``Hub.sign_outs`` before the verification, by which ``confirm`` detects a sign-out since.
    """

    sign_in: SignIn
    digest: bytes
    sign_outs: int


class DeviceSessions:
    """Signs devices in: ``verify``, ``open``, the answer of the channel, ``confirm``. ``renew`` replaces ``open`` for a later assertion."""

    def __init__(
        self,
        accounts: Accounts,
        pairings: Pairings,
        devices: Devices,
        delivery: Delivery,
        inboxes: Inboxes,
        hub: Hub,
        settings: IdentitySettings,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._pairings = pairings
        self._devices = devices
        self._delivery = delivery
        self._inboxes = inboxes
        self._hub = hub
        self._session_seconds = settings.session_seconds
        self._clock = clock

    def verify(self, frame: StatusUpdate, address: str, device: str | None, user: str = "") -> VerifiedSignIn:
        """Verify the assertion, ticket or device credential of a frame; a ticket is used up.

        :param device: name of the device, None if it has none yet.
        :param user: the account that it must be of; "" for any.
        :raises Refused: see ``Accounts.sign_in``; also if there is no assertion, or it is of another account.
        """
        if frame.assertion is None:
            raise WrongField("assertion: is missing")
        sign_outs = self._hub.sign_outs
        if frame.assertion.startswith(CREDENTIAL_PREFIX):
            sign_in, digest = self._pairings.sign_in(frame.assertion, address, device), b""  # each frame that contains it renews it
        else:
            sign_in = self._accounts.sign_in(frame.assertion, address, device, frame.ticket)
            digest = (sign_in.digest or digest_of(frame.assertion))[:PROOF_BYTES]
        if user not in ("", sign_in.account.id):
            raise OtherEmail()
        return VerifiedSignIn(sign_in, digest, sign_outs)

    def open(self, channel: DevicePort, verified: VerifiedSignIn, frame: StatusUpdate) -> None:
        """Connect the device of a verified first frame, and register its channel, which replaces an earlier one of the device.

        :raises OtherEmail: the frame names another e-mail address than the assertion, ticket or credential.
        :raises Refused: see ``Devices.connect``.
        """
        sign_in, session = verified.sign_in, channel.session
        check_email(frame, sign_in.account.email)
        connected = self._devices.connect(sign_in.account, sign_in.device, channel.connection_id, frame.status, sign_in.family)
        session.user, session.device = sign_in.account.id, connected.device
        session.status, session.acknowledges, session.inbox = frame.status, frame.ack, frame.inbox
        session.shown = [] if frame.clears and frame.ack else None
        self._store(channel, verified)
        previous = self._hub.join_device(session.user, session.device, channel)
        if previous:
            previous.close(CloseCode.REPLACED, REPLACED)
        elif connected.replaced:
            self._devices.signal_replaced(session.user, session.device, connected.replaced)

    def renew(self, channel: DevicePort, verified: VerifiedSignIn, frame: StatusUpdate) -> bool:
        """Extend a session by a newer assertion, ticket or credential of the same account.

        :returns: False if the tracker was asked, and does not have the device.
        :raises OtherEmail: see ``open``.
        """
        session, account = channel.session, verified.sign_in.account
        check_email(frame, account.email)
        session.email = account.email  # the provider may have given the person another address
        known = True
        if account.revision != session.revision:  # otherwise a sign-out older than this assertion would sign the device out
            known = self._devices.renew(account, session.device, channel.connection_id, session.status)
        self._store(channel, verified)
        self._close_if_signed_out(channel, verified)
        return known

    def confirm(self, channel: DevicePort, verified: VerifiedSignIn) -> None:
        """Finish a sign-in after its answer: close the channel if a sign-out came in between, and send waiting notifications."""
        self._close_if_signed_out(channel, verified)
        self._delivery.begin(channel.session.user)
        self._inboxes.schedule(channel.session.user)

    def _store(self, channel: DevicePort, verified: VerifiedSignIn) -> None:
        sign_in, session = verified.sign_in, channel.session
        left = min((sign_in.ends_at - self._clock.steady.now()) / 1000, self._session_seconds)
        session.ends_at = self._clock.monotonic() + left
        session.digest, session.family = verified.digest, sign_in.family
        if identity := sign_in.identity:
            self._hub.set_provider_session(channel, identity.provider_session, identity.began_at or 0)
        else:
            self._hub.set_provider_session(channel, None)
        session.revision, session.email = sign_in.account.revision, sign_in.account.email

    def _close_if_signed_out(self, channel: DevicePort, verified: VerifiedSignIn) -> None:
        """Close the channel if a sign-out overtook the sign-in and did not find the channel in the hub."""
        if verified.sign_outs == self._hub.sign_outs:
            return
        try:
            account = self._accounts.current(verified.sign_in)
            current = account is not None and self._has_device(channel, account)
        except BackendUnavailable as refused:
            channel.close(CloseCode.TRY_AGAIN_LATER, f"{refused.error}; retry_after={refused.retry_after}")
        else:
            if not current:
                channel.close(CloseCode.NOT_SIGNED_IN, "signed out")

    def _has_device(self, channel: DevicePort, account: Account) -> bool:
        """Return False if a sign-out that left an assertion valid has removed the device.

        If it returns True, the tracker does not remove the device for a sign-out from before this call either.

        :param account: the account as it is now.
        """
        session, connection = channel.session, channel.connection_id
        if account.revision == session.revision or self._devices.renew(account, session.device, connection, session.status):
            return True
        return not self._devices.signed_out(account.id, session.device, connection, session.revision)


def check_email(frame: StatusUpdate | OverrideUpdate, email: str) -> None:
    """Check that a frame names the e-mail address of its account.

    :raises OtherEmail: it names another one.
    """
    if frame.email != email and canonical_email(frame.email) != email:
        raise OtherEmail()
