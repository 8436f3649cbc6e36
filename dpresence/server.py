"""The server for ``pserve``: ``[server:main] use = egg:dpresence``.

``pserve`` imports this module before it builds the application, so the module patches the standard library first.
"""

from __future__ import annotations

from gevent import config, monkey

config.track_greenlet_tree = False  # it would record the stack of each spawn, which nothing reads: half of a spawn's cost
monkey.patch_all()

import faulthandler  # noqa: E402
import gc  # noqa: E402
import ipaddress  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402
from gevent.socket import wait_read  # noqa: E402

from . import __version__, sentry  # noqa: E402
from .coalesced_timers import sleep_coalesced  # noqa: E402
from .errors import SettingError  # noqa: E402
from .files import free_files  # noqa: E402
from .ini import load_server  # noqa: E402
from .listener import Server, tls_context  # noqa: E402
from .pserve import report_failed_start  # noqa: E402
from .renewal import START_SECONDS, Renewal, command, restart  # noqa: E402
from .service_manager import ServiceManager  # noqa: E402
from .settings import ServerSettings, Settings, wrong_setting  # noqa: E402
from .supervisor import Supervisor  # noqa: E402
from .tasks import Task  # noqa: E402
from .worker import CHANGES_SIGNAL, TRACE_SIGNAL, Worker, adopt, inherited_listener, listen, only_checks, this_worker  # noqa: E402

log = logging.getLogger("dpresence.server")

FINISH_SECONDS = 2.0
"""Maximum time that a stop spends on pending backend calls."""
BEAT_SECONDS = 1.0
"""Seconds from one heartbeat of a worker to the next."""


def main(global_config: dict[str, str], **section: str) -> Callable[[Any], None]:
    """Return ``serve(application)``, which returns when the server has stopped (paste.server_factory).

    With several workers, this function returns in each worker. In the parent process it supervises them and does not return.

    :param section: ``[server:main]``.
    :raises SettingError: a setting is invalid.
    """
    section.pop("use", None)
    sys.excepthook = report_failed_start
    faulthandler.enable()  # writes a stack trace on a crash in native code
    faulthandler.register(TRACE_SIGNAL)
    settings, worker, listener = load_server(section, global_config.get("here", ".")), this_worker(), inherited_listener()
    if only_checks():
        return lambda checked: check(checked, settings)
    if settings.workers > 1 and not worker:
        supervise(settings, listener)
    signal.signal(CHANGES_SIGNAL, signal.SIG_IGN)  # until ``serve`` handles it
    for number in (signal.SIGTERM, signal.SIGINT):  # while the application is being built
        signal.signal(number, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))  # after ``restart``
    if worker:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor handles it, also when a terminal is closed
        listener = worker.listener
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))  # until ``serve`` handles it
    return lambda application: serve(application, settings, worker, listener)


def supervise(settings: ServerSettings, inherited: int | None = None) -> NoReturn:
    """Run the workers until SIGTERM or SIGINT, then exit with the supervisor's status.

    :param inherited: file number of the listening socket, if this process ran without workers before its renewal.
    :raises SettingError: the address cannot be bound.
    """
    listener = listen(settings.host, settings.port, Server.backlog) if inherited is None else adopt(inherited)
    sys.exit(Supervisor(command(), settings.workers, listener).run())


def check(application: Settings, server: ServerSettings) -> None:
    """Check the settings like a start, without listening.

    :raises SettingError: a setting is invalid.
    """
    check_exposure(application, server)
    check_workers(application, server)
    if server.certfile:
        tls_context(server)


def serve(application: Any, settings: ServerSettings, worker: Worker | None = None, listener: int | None = None) -> None:
    """Serve an application until SIGTERM or SIGINT. At SIGHUP, a process without workers restarts itself.

    :param application: its ``registry["dpresence"]`` has ``settings``, ``gate``, ``background``, ``development_token`` and ``close``.
    :param worker: None if this process is the only one.
    :param listener: file number of the listening socket; None to bind one.
    """
    registry = application.registry["dpresence"]
    sentry.start(registry.settings.sentry, __version__)
    check_exposure(registry.settings, settings)
    check_workers(registry.settings, settings)
    registry.gate.limit_to_files(free_files(registry.settings.channels.sockets))
    server, stopping, manager = Server(settings, application, registry.gate, listener), Event(), ServiceManager()
    renewal = Renewal(stopping.set)
    _handle_signals(renewal, registry.services.apply_changes, alone=not worker)
    log.info("Version %s, Python %s", __version__, sys.version.split()[0])
    gc.collect()
    gc.freeze()  # collecting these long-lived objects would block the event loop for 0.1 s each time
    try:
        registry.background.start()
        server.start()
        if registry.development_token:
            show_token(registry.development_token, registry.settings.identity.home)  # before the first request is handled
        if worker:
            Task("heartbeats", partial(_send_heartbeats, worker, registry.settings.presence.lease_seconds))
            Task("watch on the supervisor", partial(_stop_after_supervisor, worker, stopping))
        else:
            listener = os.dup(server.socket.fileno())
        _tell_service_manager(manager, renewal, stopping)
        log.info("Stopping: %d channels", len(registry.gate.connections))
    finally:
        server.drain()
        with gevent.Timeout(1, False):
            registry.background.stop()
        with gevent.Timeout(FINISH_SECONDS, False):
            registry.services.finish()
        registry.close()
    if renewal.wanted and listener is not None:
        restart(renewal, listener)


def _handle_signals(renewal: Renewal, apply_changes: Callable[[], None], alone: bool) -> None:
    """Stop at SIGTERM and SIGINT, apply the operator's changes at ``CHANGES_SIGNAL``, and restart at SIGHUP if this process is alone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, renewal.cancel)
    gevent.signal_handler(CHANGES_SIGNAL, apply_changes)
    if alone:
        gevent.signal_handler(signal.SIGHUP, renewal.request)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))


def _tell_service_manager(manager: ServiceManager, renewal: Renewal, stopping: Event) -> None:
    """Report that the service serves, send heartbeats while the event loop runs, and report why it stops; returns when it stops."""
    manager.ready()
    if manager.watchdog_seconds:
        Task("watchdog", partial(_beat, manager))
    stopping.wait()
    if renewal.wanted:
        manager.reloading(START_SECONDS)
    else:
        manager.stopping()


def show_token(token: Any, home: str) -> None:
    """Write the development token to its file, and print the link that a person opens.

    :raises SettingError: the file cannot be written.
    """
    token.write()
    sys.stdout.write(f"Open {home}/?token={token.value}\nPrograms find the token in {token.file}\n")
    sys.stdout.flush()


def check_exposure(settings: Settings, server: ServerSettings) -> None:
    """Check that the development issuer can be reached from this machine only.

    :raises SettingError: it is on, and ``host`` is not loopback or ``certfile`` is set.
    """
    if not settings.identity.development:
        return
    try:
        loopback = ipaddress.ip_address(server.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise wrong_setting("host", server.host, "127.0.0.1 or ::1 while identity.development is on")
    if server.certfile:
        raise wrong_setting("certfile", server.certfile, "empty while identity.development is on")


def check_workers(settings: Settings, server: ServerSettings) -> None:
    """Check that several workers do not use state that each process has in memory.

    :raises SettingError: ``workers`` is more than 1, and the tracker or the development issuer is in memory.
    """
    refused = f"workers = {server.workers}: must be 1 while"
    if server.workers > 1 and settings.storage.tracker == "memory":
        raise SettingError(f"{refused} tracker = memory, which is known to one process only; tracker = redis is for several")
    if server.workers > 1 and settings.identity.development:
        raise SettingError(f"{refused} identity.development is on: each process has an issuer's key of its own")


def _beat(manager: ServiceManager) -> None:
    while True:
        manager.beat()
        sleep_coalesced(manager.watchdog_seconds / 4)


def _send_heartbeats(worker: Worker, lease_seconds: int) -> None:
    """Send heartbeats to the supervisor, which replaces a process whose event loop is blocked.

    After a lease without a heartbeat, the tracker also treats this process as dead.
    """
    while True:
        worker.beat(lease_seconds)
        sleep_coalesced(BEAT_SECONDS)


def _stop_after_supervisor(worker: Worker, stopping: Event) -> None:
    """Stop when the supervisor has ended."""
    wait_read(worker.lifeline)
    log.warning("the supervisor has ended")
    stopping.set()
