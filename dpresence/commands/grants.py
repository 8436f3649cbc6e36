"""``dpresence grants`` and ``dpresence notifications``."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from ..model import Grant, canonical_email, decode_hours
from .accounts import moment
from .context import Context, Subparsers, add, add_group


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    group = add_group(commands, "grants", "people's grants to applications")
    listing = add(group, common, "list", "list the grants of a person, or those to an application", _list)
    which = listing.add_mutually_exclusive_group(required=True)
    which.add_argument("--email", help="the grants of this person")
    which.add_argument("--app", metavar="APPID", help="the grants to this application; people are named by their PUIDs")
    revoking = add(group, common, "revoke", "revoke the grant of a person to an application", _revoke)
    revoking.add_argument("email")
    revoking.add_argument("appid")
    waiting = add_group(commands, "notifications", "waiting notifications")
    add(waiting, common, "purge", "discard the notifications that wait for a person", _purge).add_argument("email")


def _list(options: argparse.Namespace, context: Context) -> None:
    if options.app:
        for grant in context.administration.grants_to(options.app):
            context.output.write(f"{grant.puid}{_remarks(grant)}", puid=grant.puid, **_values(grant))
        return
    for item in context.administration.grants_of(options.email):
        grant, application = item.grant, item.application
        context.output.write(f"{application.id}  {application.domain}{_remarks(grant)}", appid=application.id, domain=application.domain,
                             puid=grant.puid, **_values(grant), last_looked=item.last_looked)  # fmt: skip


def _values(grant: Grant) -> dict[str, Any]:
    hours = msgspec.to_builtins(decode_hours(grant.hours)) if grant.hours else None
    return {"paused": grant.own_pause, "quiet": grant.quiet, "shows": grant.shows, "until": moment(grant.until), "hours": hours,
            "granted_at": moment(grant.granted_at)}  # fmt: skip


def _remarks(grant: Grant) -> str:
    """Return what is unusual about a grant, for people."""
    remarks = {"paused": grant.own_pause, "in quiet hours": grant.quiet, "shows only online": grant.shows == "reachable"}
    said = [text for text, holds in remarks.items() if holds] + ([f"until {moment(grant.until)}"] if grant.until else [])
    return "".join(f"  {text}" for text in said)


def _revoke(options: argparse.Namespace, context: Context) -> None:
    context.administration.revoke(options.email, options.appid)
    email = canonical_email(options.email)
    context.changed(f"{email}: the grant to {options.appid} is revoked", email=email, appid=options.appid, done="revoked")


def _purge(options: argparse.Namespace, context: Context) -> None:
    count = context.administration.purge(options.email, context.mailbox)
    email = canonical_email(options.email)
    context.changed(f"{email}: {count} notifications discarded", email=email, done="purged", count=count)
