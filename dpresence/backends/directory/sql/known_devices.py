"""Known devices in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from ....model import KnownDevice
from ...sql.engine import Database
from ...sql.rows import Rows, insert_new
from ...sql.tables import accounts
from ...sql.tables import known_devices as table
from ...sql.transactions import nondurable, reading, transaction
from .. import Requester
from ..known_devices import KnownDeviceStore
from .requester_checks import lock_account

KNOWN = Rows(table, KnownDevice)
MOST = 50
"""Maximum number of known devices of a user."""


class SqlKnownDevices(KnownDeviceStore):
    """See ``KnownDeviceStore``."""

    database: Database

    @reading()
    def known_devices(self, connection: Connection, user: str) -> Sequence[KnownDevice]:
        return KNOWN.all(connection, table.c.user == user, order_by=table.c.device)

    @nondurable()
    def record_device(self, connection: Connection, device: KnownDevice) -> None:
        account = select(accounts.c.id).where(accounts.c.id == device.user).with_for_update(read=True, key_share=True)
        if connection.scalar(account) is not None:
            _store(connection, device, given=device.given, kind=device.kind, seen_on=device.seen_on)

    @transaction()
    def rename_device(
        self, connection: Connection, user: str, device: str, label: str, requester: Requester | None = None
    ) -> KnownDevice | None:
        if lock_account(connection, user, requester) is None:
            return None
        _store(connection, KnownDevice(user, device, label=label), label=label)
        return KNOWN.find(connection, table.c.user == user, table.c.device == device)


def _store(connection: Connection, new: KnownDevice, **changed: str) -> None:
    """Add a device, or change some of its values."""
    mine = table.c.user == new.user
    if insert_new(connection, table, **KNOWN.values(new)):
        newest = select(table.c.device).where(mine, table.c.device != new.device).order_by(table.c.seen_on.desc()).limit(MOST - 1)
        kept = [new.device, *connection.scalars(newest)]
        connection.execute(delete(table).where(mine, table.c.device.not_in(kept)))
    else:
        connection.execute(update(table).where(mine, table.c.device == new.device).values(changed))
