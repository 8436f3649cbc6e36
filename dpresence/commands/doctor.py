"""``dpresence doctor``: what is wrong around a service, and what to do about it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Generator, Iterator

from ..backends import at_stored_partitions, check_database, opened_database
from ..clock import Clock
from ..errors import BackendUnavailable, NoDatabaseYet, SettingError
from ..files import files_needed, limit_of
from ..identity.oidc import load_providers
from ..mail import MailServer
from ..push.vapid import load_keys, subject
from ..secret_files import readers, writers
from .channel import check_channel
from .context import Context, Subparsers, add
from .event_stream import check_event_stream
from .output import Finding
from .public import check_public_url
from .sql import sqlite_file, version_and_clock
from .upkeep import start_errors

CLOCK_SECONDS = 1.0
"""Difference of two clocks that is reported."""
FREE_SHARE, FREE_BYTES = 0.1, 2**30
"""Free space of the disk below which both are reported: its share, and bytes."""


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the command of this module."""
    doctor = add(commands, common, "doctor", "examine the service and everything that it needs, and say what to do", _doctor, 180)
    doctor.add_argument("--account", metavar="EMAIL",
                        help="also hold a channel of this account, offline, and an event stream through the public URL")  # fmt: skip


def _doctor(options: argparse.Namespace, context: Context) -> int:
    worst, checks = 0, dict(CHECKS)
    if options.account:
        checks["channel"] = lambda context: check_channel(context, options.account)
        checks["event stream"] = lambda context: check_event_stream(context, options.account)
    named: set[str] = set()
    for name, check in checks.items():
        for level, text, advice in _results(check, context, named):
            named.add(text)
            line = f"{level:8} {name}: {text}" + (f"\n         {advice}" if advice else "")
            context.output.write(line, check=name, level=level, text=text, advice=advice)
            worst |= level == "error"
    return int(worst)


def _results(check: Callable[[Context], Iterator[Finding]], context: Context, named: set[str]) -> Iterator[Finding]:
    """Yield the findings of one check; one that cannot be made is a finding as well.

    :param named: what has been found already: the wrong setting that prevents this check may have prevented another one.
    """
    try:
        yield from check(context)
    except SettingError as error:
        if str(error) not in named:
            yield "error", str(error), "correct the setting; dpresence check names all that stop a start"
    except BackendUnavailable as error:
        yield "error", error.for_operator(), "start it, and check the address, the password and the network"


def _start(context: Context) -> Iterator[Finding]:
    errors = start_errors(context)
    yield from (("error", error, "correct it before the next start") for error in errors)
    if not errors:
        yield "ok", "a start would succeed", ""
        for former, present in context.settings.deprecated.items():
            yield "warning", f"{former} is deprecated", f"write {present}; a later version refuses the former name"


def _database(context: Context) -> Iterator[Finding]:
    try:
        present, newest, mode = check_database(context.settings, context.clock)
    except NoDatabaseYet as error:
        yield "ok", str(error), ""
        return
    version, clock = version_and_clock(context.settings, context.clock)
    made = f"made by a {mode} service" if mode else "and no service has been started with it yet"
    yield "ok", f"{version}, {made}" if present else f"{version}, empty: the first start creates its tables", ""
    if present and present != newest:
        advice = "the next start of the service upgrades it; dpresence migrate does it now"
        if present > newest:
            advice = "it is of a newer version, which this one can share it with: install that version here as well"
        yield "warning", f"it has revision {present}, and this version needs {newest}", advice
    if clock is not None:
        yield _clock("its clock", clock, context.clock)


def _clock(name: str, milliseconds: int, clock: Clock) -> Finding:
    seconds = (milliseconds - clock.now()) / 1000
    differs = abs(seconds) > CLOCK_SECONDS
    advice = "synchronize the clocks of all machines by NTP" if differs else ""
    return "warning" if differs else "ok", f"{name} differs by {seconds:+.1f} s from the clock of this machine", advice


def _redis(context: Context) -> Iterator[Finding]:
    servers = at_stored_partitions(context.settings, context.clock).by_redis_server()
    for name, settings in servers.items():
        from .redis import check_redis_server  # imported only here, with the driver, which is an extra

        of = f"{name}: " if len(servers) > 1 else ""
        try:
            now = yield from _named(of, check_redis_server(settings))
        except BackendUnavailable as error:
            said = f"this Redis {error.reason}" if error.reason else str(error)
            yield "error", f"{of}{said}", "start it, and check the address, the password and the network"
        else:
            yield _clock(f"{of}its clock", now, context.clock)


def _named(server: str, findings: Generator[Finding, None, int]) -> Generator[Finding, None, int]:
    """Yield findings with the name of their server, and return the result."""
    while True:
        try:
            level, text, advice = next(findings)
        except StopIteration as end:
            return int(end.value)
        yield level, f"{server}{text}", advice


def _providers(context: Context) -> Iterator[Finding]:
    settings = context.settings
    if not settings.identity.verifiers and not settings.identity.development:
        yield "warning", "nobody can sign in: identity.verifiers is empty", "configure an identity provider (docs/identity.md)"
    for provider in load_providers(settings.oidc, context.clock):
        provider.keys.renew()
        if provider.keys.reached:
            yield "ok", f"oidc.{provider.name}: its keys were fetched", ""
        else:
            yield "error", f"oidc.{provider.name}: its keys could not be fetched", "the warning above has the URL and the cause"


def _push(context: Context) -> Iterator[Finding]:
    if load_keys(context.settings) is None:
        yield "ok", "off: nobody is notified while no page is open", "dpresence rotate vapid makes the keys that turn it on"
    elif not subject(context.settings):
        yield "warning", "push services are not told whom to ask about this service", "set pages.contact"
    else:
        yield "ok", f"on; push services are told to ask {subject(context.settings)} about this service", ""


def _files(context: Context) -> Iterator[Finding]:
    settings = context.settings
    secret = {str(context.ini): "the ini", settings.identity.secret_file: "the secret of identity.secret_file"}
    secret[settings.push.key_file] = "the keys of push.key_file"
    secret |= {file: key for key, file in settings.secret_files.items()}
    secret |= {file: f"{what} of oidc.{each.name}" for each in settings.oidc.configured for file, what in each.secret_files.items()}
    if database := sqlite_file(settings):
        secret[str(database)] = "the database"
    found = [text for file, holds in secret.items() if file and (text := readers(file, holds))]
    found += [text for issuer in settings.browserid.configured for file in issuer.keys if (text := writers(file, "a key"))]
    for text in found:
        what, _, advice = text.rpartition(": ")
        yield "warning", what, advice
    if not found:
        yield "ok", "only the service's user can read the files with secrets", ""


def _disk(context: Context) -> Iterator[Finding]:
    if database := sqlite_file(context.settings):
        folder = database.parent
        if not folder.is_dir():
            return  # which the check of the settings says
        total, _, free = shutil.disk_usage(folder)
        low = free < FREE_BYTES and free / total < FREE_SHARE
        text = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} are free in {folder}"
        yield "warning" if low else "ok", text, "free space: a full disk refuses every change" if low else ""


def _open_files(context: Context) -> Iterator[Finding]:
    try:
        with opened_database(context.settings, context.clock) as database:
            pid = database.service_pid()
    except NoDatabaseYet:
        pid = None
    allowed, needed = limit_of(pid), files_needed(context.settings.channels.sockets)
    whose = f"process {pid}" if pid else "this user"
    text = f"{whose} may open {allowed} files; channels.sockets = {context.settings.channels.sockets} needs {needed}"
    low = allowed < needed
    yield "warning" if low else "ok", text, "raise LimitNOFILE of the unit, or lower channels.sockets" if low else ""


def _mail(context: Context) -> Iterator[Finding]:
    settings = context.settings.mail
    if server := MailServer(settings, context.clock):
        server.check()
        yield "ok", f"{settings.host}:{settings.port} takes mail from {settings.sender}", ""
    else:
        yield "ok", "mail.host is empty: developers are told on their pages only", ""


CHECKS: dict[str, Callable[[Context], Iterator[Finding]]] = {
    "start": _start,
    "database": _database,
    "redis": _redis,
    "sign-in": _providers,
    "push": _push,
    "mail": _mail,
    "public URL": check_public_url,
    "file modes": _files,
    "disk": _disk,
    "open files": _open_files,
}
