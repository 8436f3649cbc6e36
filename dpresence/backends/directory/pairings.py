"""The part of the directory that stores pairings and the credentials of paired devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from ...model import Account, DeviceCredential, Pairing
from .values import Requester


class PairedDevice(NamedTuple):
    """The credential of a device and the account that it belongs to."""

    credential: DeviceCredential
    account: Account


class PairingStore(ABC):
    """Pairings and credentials of devices; a part of ``Directory``."""

    @abstractmethod
    def add_pairing(self, pairing: Pairing) -> bool:
        """Store a new pairing; return False without a change if another one has its code."""

    @abstractmethod
    def pairing(self, hash: bytes, now: int) -> Pairing | None:
        """Return a pairing that has not expired by its device code."""

    @abstractmethod
    def waiting_pairing(self, code: str, now: int) -> Pairing | None:
        """Return a pairing by the code that a user enters, if no user has answered it and it has not expired."""

    @abstractmethod
    def answer_pairing(self, code: str, now: int, user: str, allow: bool, requester: Requester | None = None) -> bool:
        """Store a user's answer to a pairing.

        :returns: False without a change if ``waiting_pairing`` returns None, or if the account does not exist.
        :raises SessionEnded: see ``Directory``.
        """

    @abstractmethod
    def has_allowed_pairing(self, user: str, device: str, now: int) -> bool:
        """Return whether a pairing of a device name that a user has allowed has not expired."""

    @abstractmethod
    def add_credential(self, pairing: bytes, now: int, hash: bytes, expires_at: int) -> PairedDevice | None:
        """Store the credential of a pairing that a user has allowed.

        It replaces the credential of an earlier pairing of the same device name, which signs that device out, and an unused credential
        of the same pairing.

        :param pairing: hash of the device code.
        :param hash: SHA-256 of the credential.
        :returns: None without a change if the pairing does not exist, has expired or is not allowed, if its credential has been used, or
            if the account is blocked.
        """

    @abstractmethod
    def credential(self, hash: bytes, now: int) -> PairedDevice | None:
        """Return a credential that has not expired, with its account."""

    @abstractmethod
    def renew_credential(self, hash: bytes, used_at: int, expires_at: int) -> None:
        """Store the time of use of a credential and its new expiry. Both only ever grow."""

    @abstractmethod
    def credentials(self, user: str, now: int) -> Sequence[DeviceCredential]:
        """Return the credentials of a user's devices that have not expired, in order of the device names."""
