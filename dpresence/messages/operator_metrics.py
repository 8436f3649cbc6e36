"""The figures for the operator (docs/protocol.md, section 6, For operators). Times are milliseconds since the epoch."""

from __future__ import annotations

from msgspec import Struct


class BackendHealth(Struct):
    """Health of a backend (section 6).

    :param backend: its role.
    :param reached: number of processes that reach it.
    :param asked: number of processes that have asked it.
    """

    backend: str
    reached: int
    asked: int


class ErrorCount(Struct):
    """Number of refusals with one errno (section 7)."""

    errno: int
    meaning: str
    count: int


class CloseCount(Struct):
    """Number of channels that were closed with one code (section 7).

    :param code: 0 for all codes that this service does not send.
    """

    code: int
    meaning: str
    count: int


class Minute(Struct):
    """One minute of the last hour.

    :param at: start of the minute, milliseconds.
    :param devices: connected devices at its end, as are ``users`` and ``applications``.
    :param updates: number of status changes in it; ``errors`` and ``slow_readers`` are counts as well.
    """

    at: int
    devices: int
    users: int
    applications: int
    updates: int
    errors: int
    slow_readers: int


class Event(Struct):
    """An event that an operator may want to investigate.

    :param at: time of the last occurrence, milliseconds.
    :param who: a masked e-mail address, an application's domain, or "".
    :param times: number of consecutive occurrences.
    """

    at: int
    what: str
    who: str = ""
    times: int = 1


class ProcessBody(Struct):
    """One process of the service.

    :param sockets: number of open connections.
    """

    pid: int
    started_at: int
    sockets: int
    memory_bytes: int


class Figures(Struct, kw_only=True):
    """The answer to ``GET /admin/figures``: the figures of all processes together (section 6).

    :param devices: number of connected devices.
    :param users: number of users with a connected device; a user with devices at two processes counts twice.
    :param applications: number of signed-in channels of app services.
    :param sockets: number of open connections.
    :param unsigned: number of channels that have not signed in yet.
    :param behind: number of channels whose outbox is more than half full.
    :param updates: number of status changes of devices since the start of the processes.
    :param slow_readers: number of channels that were closed with 4102.
    :param minutes: the last hour, oldest minute first.
    :param events: the last events, oldest first.
    """

    at: int
    devices: int
    users: int
    applications: int
    sockets: int
    unsigned: int
    behind: int
    updates_per_second: float
    updates: int
    slow_readers: int
    health: list[BackendHealth]
    errors: list[ErrorCount]
    closes: list[CloseCount]
    minutes: list[Minute]
    events: list[Event]
    processes: list[ProcessBody]
