"""Pairings and the credentials of paired devices in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, update

from ....addresses import network
from ....model import Account, DeviceCredential, Pairing
from ...sql.engine import Database
from ...sql.rows import insert_new
from ...sql.tables import accounts, device_credentials, pairings
from ...sql.transactions import nondurable, reading, transaction
from .. import Requester
from ..pairings import PairedDevice, PairingStore
from .account_changes import sign_out_device
from .requester_checks import lock_account
from .rows import ACCOUNTS, CREDENTIALS, PAIRINGS

_CREDENTIAL = (  # a single statement, so that credential and account are read at the same moment
    CREDENTIALS.query.add_columns(*ACCOUNTS.query.selected_columns)
    .join_from(device_credentials, accounts, accounts.c.id == device_credentials.c.user)
    .where(device_credentials.c.hash == bindparam("shown"), device_credentials.c.expires_at > bindparam("now"))
)
_CREDENTIAL_FIELDS = len(CREDENTIALS.query.selected_columns)


class SqlPairings(PairingStore):
    """See ``PairingStore``."""

    database: Database

    @nondurable(key=lambda pairing: network(pairing.address))
    def add_pairing(self, connection: Connection, pairing: Pairing) -> bool:
        return insert_new(connection, pairings, **PAIRINGS.values(pairing))

    @reading()
    def pairing(self, connection: Connection, hash: bytes, now: int) -> Pairing | None:
        found = PAIRINGS.find(connection, pairings.c.hash == hash, pairings.c.expires_at > now)
        if found and found.user:
            self.database.owners.remember(hash.hex(), found.user)
        return found

    @reading()
    def waiting_pairing(self, connection: Connection, code: str, now: int) -> Pairing | None:
        return PAIRINGS.find(connection, *_waiting(code, now))

    @transaction()
    def answer_pairing(
        self, connection: Connection, code: str, now: int, user: str, allow: bool, requester: Requester | None = None
    ) -> bool:
        if lock_account(connection, user, requester) is None:
            return False
        values = {"state": "allowed", "user": user} if allow else {"state": "denied"}
        return connection.execute(update(pairings).where(*_waiting(code, now)).values(values)).rowcount > 0

    @reading()
    def has_allowed_pairing(self, connection: Connection, user: str, device: str, now: int) -> bool:
        allowed = (pairings.c.user == user, pairings.c.device == device, pairings.c.state == "allowed", pairings.c.expires_at > now)
        return connection.execute(select(pairings.c.hash).where(*allowed).limit(1)).first() is not None

    @transaction(urgent=True)
    def add_credential(self, connection: Connection, pairing: bytes, now: int, hash: bytes, expires_at: int) -> PairedDevice | None:
        current = (pairings.c.hash == pairing, pairings.c.expires_at > now)
        found = PAIRINGS.find(connection, *current)
        account = lock_account(connection, found.user, None) if found and found.user else None
        found = PAIRINGS.lock_for_update(connection, *current)
        if account is None or account.blocked or found is None or found.user != account.id:
            return None
        credential = DeviceCredential(hash, found.family, account.id, found.device, found.client, now, expires_at)
        previous = CREDENTIALS.find(connection, device_credentials.c.user == account.id, device_credentials.c.device == found.device)
        if previous is not None and previous.family == found.family:
            if previous.used_at is not None:
                return None
            CREDENTIALS.delete(connection, device_credentials.c.hash == previous.hash)
        elif previous is not None:
            sign_out_device(connection, account.id, found.device, kept=pairing)
            account = ACCOUNTS.find(connection, accounts.c.id == account.id) or account
        CREDENTIALS.add(connection, credential)
        return PairedDevice(credential, account)

    @reading(urgent=True)
    def credential(self, connection: Connection, hash: bytes, now: int) -> PairedDevice | None:
        row = connection.execute(_CREDENTIAL, {"shown": hash, "now": now}).one_or_none()
        if row is None:
            return None
        found = PairedDevice(DeviceCredential(*row[:_CREDENTIAL_FIELDS]), Account(*row[_CREDENTIAL_FIELDS:]))
        self.database.owners.remember(hash.hex(), found.account.id)
        return found

    @nondurable(urgent=True)
    def renew_credential(self, connection: Connection, hash: bytes, used_at: int, expires_at: int) -> None:
        older = or_(device_credentials.c.used_at.is_(None), device_credentials.c.used_at < used_at)
        renewed = update(device_credentials).where(device_credentials.c.hash == hash, older)
        connection.execute(renewed.values(used_at=used_at, expires_at=expires_at))

    @reading()
    def credentials(self, connection: Connection, user: str, now: int) -> Sequence[DeviceCredential]:
        valid = (device_credentials.c.user == user, device_credentials.c.expires_at > now)
        return CREDENTIALS.all(connection, *valid, order_by=device_credentials.c.device)


def _waiting(code: str, now: int) -> tuple[ColumnElement[bool], ...]:
    return (pairings.c.code == code, pairings.c.state == "waiting", pairings.c.expires_at > now)
