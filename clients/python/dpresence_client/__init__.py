"""Client of dpresence: an application's service that knows who is reachable, devices that set a status, and a user's account.

``AppService``, ``Device`` and ``Account`` are for ordinary programs, ``dpresence_client.aio`` has the same for asyncio. README.md has
examples; docs/protocol.md of dpresence is the contract. Everything is logged under the name ``dpresence_client``.
"""

from __future__ import annotations

from .account import Account
from .account_values import (
    UNCHANGED,
    Grant,
    Hours,
    InboxNotification,
    Interval,
    Link,
    ListedGrant,
    Looks,
    QuietHours,
    Unchanged,
    UserInbox,
    UserStatus,
)
from .credentials import Credentials, DevelopmentIssuer
from .errors import (
    ClientClosed,
    Closed,
    Conflict,
    CredentialsError,
    Deactivated,
    Forbidden,
    InvalidCredentials,
    InvalidField,
    InvalidKey,
    NotActive,
    NotConnected,
    NotFound,
    OutcomeUnknown,
    PairingFailed,
    PresenceError,
    ProtocolError,
    Refused,
    Replaced,
    SignedOut,
    SlowDown,
    StoreError,
    TooMany,
    Unavailable,
)
from .pairing import PairedDevice, PairingCodes, begin_pairing, finish_pairing
from .rest import Rest
from .stores import FileStore, FileTickets, MemoryStore, MemoryTickets, Store, Tickets
from .sync import AppService, Device
from .table import Table
from .values import Change, Delivery, Entry, Notification, Outcome, Outgoing
from .webhooks import WebhookRefused, verify_webhook

__version__ = "0.1.0"

__all__ = [
    "UNCHANGED",
    "Account",
    "AppService",
    "Change",
    "ClientClosed",
    "Closed",
    "Conflict",
    "Credentials",
    "CredentialsError",
    "Deactivated",
    "Delivery",
    "DevelopmentIssuer",
    "Device",
    "Entry",
    "FileStore",
    "FileTickets",
    "Forbidden",
    "Grant",
    "Hours",
    "InboxNotification",
    "Interval",
    "InvalidCredentials",
    "InvalidField",
    "InvalidKey",
    "Link",
    "ListedGrant",
    "Looks",
    "MemoryStore",
    "MemoryTickets",
    "NotActive",
    "NotConnected",
    "NotFound",
    "Notification",
    "Outcome",
    "OutcomeUnknown",
    "Outgoing",
    "PairedDevice",
    "PairingCodes",
    "PairingFailed",
    "PresenceError",
    "ProtocolError",
    "QuietHours",
    "Refused",
    "Replaced",
    "Rest",
    "SignedOut",
    "SlowDown",
    "Store",
    "StoreError",
    "Table",
    "Tickets",
    "TooMany",
    "Unavailable",
    "Unchanged",
    "UserInbox",
    "UserStatus",
    "WebhookRefused",
    "begin_pairing",
    "finish_pairing",
    "verify_webhook",
]
