"""Pairing of a device without a browser (docs/protocol.md, section 6; RFC 8628)."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, List, NamedTuple

from .errors import NotConnected, PairingFailed, PresenceError, ProtocolError, Refused, SlowDown
from .rest import Rest

_INCOMPLETE = 143
_SERVER_ERROR = 500
_SLOW_DOWN_SECONDS = 5  # RFC 8628, section 3.5


class PairingCodes(NamedTuple):
    """A pairing that has begun. Show the user ``user_code`` and ``verification_uri``.

    :ivar device_code: the secret by which this device asks for the result.
    :ivar verification_uri_complete: the page with the code, for a link or a QR code.
    :ivar expires_in: seconds until the codes expire.
    :ivar interval: shortest time between two polls, in seconds.
    """

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        """Leave out the device code."""
        return f"PairingCodes({self.user_code!r}, {self.verification_uri!r})"


class PairedDevice(NamedTuple):
    """A device that the user has connected.

    :ivar credential: what ``Device`` takes from its credentials; store it where only this device can read it.
    :ivar email: the user's address.
    :ivar device: name of the device.
    """

    credential: str
    email: str
    device: str

    def __repr__(self) -> str:
        """Leave out the credential."""
        return f"PairedDevice({self.email!r}, {self.device!r})"


def begin_pairing(url: str, device: str, client: str) -> PairingCodes:
    """Ask a service for the codes of a new pairing.

    :param url: URL of the service.
    :param device: name of this device: 1 to 64 of ``A-Z a-z 0-9 . _ : -``.
    :param client: name of this program, which the user sees: 1 to 64 characters.
    :raises Refused: a name is wrong, or too many pairings began at this address.
    :raises NotConnected: the service does not answer.
    :raises ProtocolError: the answer is not that of the service.
    """
    return PairingCodes(*_values(Rest(url).call("POST", "/pair", {"device": device, "client": client}), PairingCodes._fields))


def finish_pairing(url: str, codes: PairingCodes, sleep: Callable[[float], object] = time.sleep) -> PairedDevice:
    """Wait until the user has answered, and return the credential.

    :param sleep: waits for some seconds.
    :raises PairingFailed: the user has refused, or the codes have expired.
    :raises Refused: the service does not accept the question.
    :raises NotConnected: the service has not answered until the codes have expired.
    :raises ProtocolError: something else than the service, such as a network that wants a sign-in first, has answered until then.
    """
    rest, interval = Rest(url), float(codes.interval)
    until = time.monotonic() + codes.expires_in
    while True:
        sleep(interval)
        try:
            answer = rest.call("POST", "/pair/token", {"device_code": codes.device_code})
            return PairedDevice(*_values(answer, PairedDevice._fields))
        except (NotConnected, ProtocolError, Refused) as error:
            if _is_slower(error):
                interval += _SLOW_DOWN_SECONDS
            if time.monotonic() >= until:
                raise


def _values(answer: Any, names: Iterable[str]) -> List[Any]:
    if not isinstance(answer, dict) or any(name not in answer for name in names):
        raise ProtocolError("an answer to a pairing is not that of the service")
    return [answer[name] for name in names]


def _is_slower(error: PresenceError) -> bool:
    """Return whether to ask more rarely from now on.

    :raises PresenceError: the error ends the pairing.
    """
    if isinstance(error, Refused) and error.errno == _INCOMPLETE:
        if error.details not in ("authorization_pending", "slow_down"):
            raise PairingFailed(error.error)
        return bool(error.details == "slow_down")
    if isinstance(error, Refused) and not isinstance(error, SlowDown) and error.errno and (error.status or 0) < _SERVER_ERROR:
        raise error
    return isinstance(error, SlowDown)
