"""The mappings of the directory's tables to values of ``model``."""

from __future__ import annotations

from ....model import Account, ApiKey, Application, Grant, Session, Ticket
from ...sql.rows import Rows
from ...sql.tables import accounts, api_keys, applications, grants, sessions, tickets

ACCOUNTS = Rows(accounts, Account)
SESSIONS = Rows(sessions, Session)
TICKETS = Rows(tickets, Ticket)
APPLICATIONS = Rows(applications, Application)
KEYS = Rows(api_keys, ApiKey)
GRANTS = Rows(grants, Grant)
