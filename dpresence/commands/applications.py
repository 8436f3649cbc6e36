"""``dpresence apps``."""

from __future__ import annotations

import argparse
from typing import Any

from ..model import Application
from .accounts import moment
from .context import Context, Subparsers, add, add_group


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    group = add_group(commands, "apps", "applications")
    add(group, common, "list", "list every application", _list)
    for name, purpose, run in _ON_ONE:
        add(group, common, name, purpose, run).add_argument("appid")


def state(application: Application) -> str:
    """Return the state of an application in a word."""
    return "stopped" if application.stopped else "active" if application.active else "inactive"


def _values(context: Context, application: Application) -> dict[str, Any]:
    return {"appid": application.id, "domain": application.domain, "name": application.name, "state": state(application),
            "domain_validated": application.valid_domain, "owner": context.administration.owner(application),
            "created_at": moment(application.created_at)}  # fmt: skip


def _list(options: argparse.Namespace, context: Context) -> None:
    for application in context.administration.applications():
        values = _values(context, application)
        context.output.write(f"{application.id}  {values['state']:8}  {application.domain}  {application.name}", **values)


def _show(options: argparse.Namespace, context: Context) -> None:
    application = context.administration.application(options.appid)
    keys = [f"{key.id}, last used {key.used_on or 'never'}" for key in context.directory.keys(application.id, context.clock.now())]
    values = {
        **_values(context, application),
        "description": application.description,
        "failed_checks": application.failed_checks,
        "icon": application.icon_path,
    }
    context.output.show(**values, users=context.administration.users(application), api_keys=keys)


def _stop(options: argparse.Namespace, context: Context) -> None:
    _done(context, context.administration.stop(options.appid, True), "stopped")


def _start(options: argparse.Namespace, context: Context) -> None:
    _done(context, context.administration.stop(options.appid, False), "started")


def _remove_icon(options: argparse.Namespace, context: Context) -> None:
    _done(context, context.administration.remove_icon(options.appid), "its icon is removed")


def _delete(options: argparse.Namespace, context: Context) -> None:
    _done(context, context.administration.delete(options.appid), "deleted")


def _done(context: Context, application: Application, done: str) -> None:
    context.changed(f"{application.domain}: {done}", appid=application.id, domain=application.domain, done=done)


_ON_ONE = (
    ("show", "show an application", _show),
    ("stop", "deactivate an application; its developer cannot activate it", _stop),
    ("start", "let the developer of a stopped application activate it again", _start),
    ("remove-icon", "remove the icon of an application", _remove_icon),
    ("delete", "delete an application with the grants to it", _delete),
)
