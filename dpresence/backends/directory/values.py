"""Arguments and results of the directory that consist of several values of ``model``."""

from __future__ import annotations

from typing import NamedTuple

from ...model import Account, Application, Grant, Session, Ticket


class GrantWithApplication(NamedTuple):
    """A user's grant with its application.

    :param last_looked: the day (``YYYY-MM-DD``) on which the application last used one of its current keys; None if it never did.
    """

    grant: Grant
    application: Application
    last_looked: str | None


class SignedIn(NamedTuple):
    """A browser session and the account that it belongs to."""

    session: Session
    account: Account


Requester = Account | SignedIn
"""The requester of a change: the account as it was when the user authenticated, with the browser session if they authenticated by one."""


class Redeemed(NamedTuple):
    """The result of presenting a ticket.

    :param good: the ticket opens a channel. False if a used ticket was presented by another device or after its expiry: the ticket
        may have been copied, and its family has been deleted.
    :param account: the account of the ticket's user at the time of the call.
    """

    ticket: Ticket
    good: bool
    account: Account
