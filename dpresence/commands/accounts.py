"""``dpresence accounts``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..backends.tracker.memory import MemoryTracker
from ..model import Account, canonical_email, decode_hours
from ..service.personal import PersonalData
from .context import Context, Subparsers, add, add_group

_OF_A_SERVICE = ("devices", "status")
"""Parts of a person's data that only a service knows."""


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    group = add_group(commands, "accounts", "people's accounts")
    add(group, common, "list", "list every account", _list).add_argument(
        "--blocked", action="store_true", help="only those that are blocked"
    )
    for name, purpose, run in _ON_ONE:
        add(group, common, name, purpose, run).add_argument("email")
    unpin = add(
        group, common, "unpin", "let the next sign-in pin the account to another issuer; sign it out, deactivate its applications", _unpin
    )
    unpin.add_argument("email")
    unpin.add_argument("--same", action="store_true", help="also let the present issuer and subject pin it again")
    merging = add(group, common, "merge", "move the grants and applications of an account to another one, and delete the first", _merge)
    merging.add_argument("email", help="the e-mail of the account that is deleted")
    merging.add_argument("into", help="the e-mail of the account that stays")


def moment(milliseconds: int | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _values(account: Account) -> dict[str, Any]:
    return {"id": account.id, "email": account.email, "issuer": account.issuer, "subject": account.subject,
            "created_at": moment(account.created_at), "blocked": account.blocked,
            "override": account.override, "override_until": moment(account.override_until),
            "hours": msgspec.to_builtins(decode_hours(account.hours)) if account.hours else None}  # fmt: skip


def _list(options: argparse.Namespace, context: Context) -> None:
    for account in context.administration.accounts():
        if account.blocked or not options.blocked:
            context.output.write(f"{account.email}{'  blocked' if account.blocked else ''}", **_values(account))


def _show(options: argparse.Namespace, context: Context) -> None:
    account, now = context.administration.account(options.email), context.clock.now()
    credentials = context.directory.credentials(account.id, now)
    context.output.show(
        **_values(account),
        sessions=len(context.directory.sessions(account.id, now)),
        paired_devices=[item.device for item in credentials],
        grants=[item.application.domain for item in context.administration.grants_of(account.email)],
        applications=[application.id for application in context.administration.owned_by(account)],
    )


def _block(options: argparse.Namespace, context: Context) -> None:
    context.administration.block(options.email, True)
    _done(context, options.email, "blocked")


def _unblock(options: argparse.Namespace, context: Context) -> None:
    context.administration.block(options.email, False)
    _done(context, options.email, "unblocked")


def _unpin(options: argparse.Namespace, context: Context) -> None:
    context.administration.unpin(options.email, options.same)
    _done(context, options.email, "unpinned")


def _sign_out(options: argparse.Namespace, context: Context) -> None:
    context.administration.sign_out(options.email)
    _done(context, options.email, "signed out")


def _erase(options: argparse.Namespace, context: Context) -> None:
    context.administration.erase(options.email)
    _done(context, options.email, "erased")


def _merge(options: argparse.Namespace, context: Context) -> None:
    context.administration.merge(options.email, options.into)
    into = canonical_email(options.into)
    context.changed(f"{canonical_email(options.email)}: merged into {into}", email=canonical_email(options.email), done="merged", into=into)


def _done(context: Context, email: str, done: str) -> None:
    context.changed(f"{canonical_email(email)}: {done}", email=canonical_email(email), done=done)


def _export(options: argparse.Namespace, context: Context) -> None:
    """Write the same document as ``GET /account``, without what only a service knows."""
    account = context.administration.account(options.email)
    nobody = MemoryTracker(context.settings.presence, context.clock)
    personal = PersonalData(context.directory, nobody, context.mailbox, context.clock)
    found: dict[str, Any] = {}
    for name, value in personal.document(account):
        if name not in _OF_A_SERVICE:
            found[name] = _plain([item for page in value for item in page] if isinstance(value, Iterator) else value)
    sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=None if context.output.as_json else 2) + "\n")


def _plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


_ON_ONE = (
    ("show", "show an account", _show),
    ("block", "refuse every sign-in to an account; sign it out everywhere and deactivate its applications", _block),
    ("unblock", "let an account sign in again", _unblock),
    ("sign-out", "end all sign-ins of an account, on channels and in browsers, and its paired devices", _sign_out),
    ("export", "write all stored data about a person as one JSON document", _export),
    ("erase", "erase an account with its grants, and its applications", _erase),
)
