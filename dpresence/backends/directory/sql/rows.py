"""The mappings of the directory's tables to values of ``model``."""

from __future__ import annotations

from ....model import Account, ApiKey, Application, DeviceCredential, Grant, Pairing, Session, Ticket
from ...sql.rows import Rows
from ...sql.tables import accounts, api_keys, applications, device_credentials, grants, pairings, sessions, tickets

ACCOUNTS = Rows(accounts, Account)
SESSIONS = Rows(sessions, Session)
TICKETS = Rows(tickets, Ticket)
APPLICATIONS = Rows(applications, Application)
KEYS = Rows(api_keys, ApiKey)
PAIRINGS = Rows(pairings, Pairing)
CREDENTIALS = Rows(device_credentials, DeviceCredential)
GRANTS = Rows(grants, Grant)
