"""The metrics of ``GET /__metrics__``, each declared once; the table of docs/operations.md is compared with this list."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from .errors import CloseCode, errno_table
from .model.webhooks import AttemptResult

PREFIX = "dpresence_"
_VERIFIERS = ("browserid", "oidc", "none", "ticket", "credential", "key")
_OUTCOMES = ("ok", "refused", "slow_down", "unavailable", "failed")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    :param name: its name without the prefix, and without the suffix that OpenMetrics adds.
    :param labels: names of its labels.
    :param merge: how the values of several processes become one; a gauge only.
    :param initial: values of the labels that a counter shows from the beginning, with 0: a query does not see the first count of a
        series that was not there before.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    doc: str
    labels: tuple[str, ...] = ()
    merge: Literal["sum", "max", "min"] = "sum"
    initial: tuple[tuple[str, ...], ...] = ()

    @property
    def exposed(self) -> str:
        """The name as queries use it."""
        suffix = {"counter": "_total", "histogram": "_seconds", "info": "_info"}.get(self.kind, "")
        return f"{PREFIX}{self.name}{suffix}"


FAMILIES = (
    Family("build", "info", "Version of the service and of Python of the process that answers.", ("version", "python")),
    Family("processes", "gauge", "Processes that serve."),
    Family("process_starts", "counter", "Processes that have started.", initial=((),)),
    Family("memory_bytes", "gauge", "Resident memory of all processes."),
    Family("cpu_seconds", "counter", "CPU time of all processes, user and system.", initial=((),)),
    Family("event_loop_lag", "histogram", "How late the event loop ran a timer, measured twice a second."),
    Family("gc_pause", "histogram", "How long the garbage collector stopped a process, without the youngest generation."),
    Family("devices", "gauge", "Connected devices."),
    Family("users", "gauge", "Users with a connected device; one with devices at two processes counts twice."),
    Family("application_channels", "gauge", "Signed-in channels of app services."),
    Family(
        "sockets",
        "gauge",
        "Open connections: http (waiting, busy), channel (unsigned, closing), device and application (signed_in).",
        ("kind", "state"),
    ),
    Family("sockets_limit", "gauge", "Maximum number of open connections: channels.sockets of each process, or what open files allow."),
    Family("channels_behind", "gauge", "Channels whose send buffer is more than half full."),
    Family("send_buffer_bytes", "gauge", "Bytes in the send buffers of channels."),
    Family(
        "channels_closed",
        "counter",
        "Channels that have ended, by close code; `other` for codes that this service does not send.",
        ("code",),
        initial=(*((str(code.value),) for code in CloseCode), ("1001",), ("1005",), ("1006",), ("other",)),
    ),
    Family(
        "refusals",
        "counter",
        "KO answers by HTTP and on channels, by errno.",
        ("errno",),
        initial=tuple((str(errno),) for errno in sorted(errno_table())),
    ),
    Family(
        "sign_ins",
        "counter",
        "Checks of credentials: browserid, oidc, none (no verifier takes it), ticket, credential, key (of an app "
        "service); ok, refused, slow_down, unavailable, failed.",
        ("verifier", "outcome"),
        initial=tuple(product(_VERIFIERS, _OUTCOMES)),
    ),
    Family("verification", "histogram", "Duration of such a check.", ("verifier",)),
    Family(
        "provider_logouts",
        "counter",
        "Logouts that identity providers sent: ok, refused, slow_down, unavailable, failed.",
        ("outcome",),
        initial=tuple((outcome,) for outcome in _OUTCOMES),
    ),
    Family("status_changes", "counter", "Status changes by devices.", ("status",), initial=(("online",), ("unavailable",), ("offline",))),
    Family(
        "connects",
        "counter",
        "Connected devices: new, resumed (within the grace), replaced (its earlier connection was still open).",
        ("how",),
        initial=(("new",), ("resumed",), ("replaced",)),
    ),
    Family(
        "devices_lost",
        "counter",
        "Devices removed after the end of the grace, or after the end of their process (ghosts).",
        ("after",),
        initial=(("grace",), ("process",)),
    ),
    Family("updates_sent", "counter", "Updates sent to channels of app services.", ("status", "reason")),
    Family(
        "feed_starts",
        "counter",
        "Sign-ins of app services: replayed from a cursor, or with a snapshot.",
        ("recovery",),
        initial=(("replayed",), ("snapshot",)),
    ),
    Family("feed_lag_seconds", "gauge", "How long the oldest updates have waited for the tracker to be read.", merge="max"),
    Family(
        "notifications",
        "counter",
        "Notifications accepted (stored), delivered (received by a device), expired, and dropped (beyond presence.waiting_notifications).",
        ("outcome",),
        initial=(("accepted",), ("delivered",), ("expired",), ("dropped",)),
    ),
    Family(
        "notifications_waiting",
        "gauge",
        "Undelivered notifications of all users, as counted every minute, or less often if there are millions.",
        merge="max",
    ),
    Family(
        "pushes",
        "counter",
        "Requests to push services: accepted, gone (the subscription has ended), refused, later (to be repeated), "
        "and busy (not made, as too many are in flight).",
        ("outcome",),
        initial=(("accepted",), ("gone",), ("refused",), ("later",), ("busy",)),
    ),
    Family("webhooks", "gauge", "Webhooks that a process sends (leased), of these: failing, waiting for a slot, sending.", ("state",)),
    Family(
        "webhook_attempts",
        "counter",
        "Requests to webhooks: delivered, status (refused by the endpoint), timeout, dns, refused (no connection), tls.",
        ("outcome",),
        initial=tuple((outcome,) for outcome in get_args(AttemptResult)),
    ),
    Family("webhook", "histogram", "Duration of requests to webhooks."),
    Family("retry_operations", "gauge", "Operations that wait until a backend is available again."),
    Family(
        "outbox_entries",
        "gauge",
        "Stored changes whose effects have not been applied to the tracker and the mailbox, up to 10,000, as counted every minute.",
        merge="max",
    ),
    Family("backend_up", "gauge", "1 if the backend answered the last ping of every process, else 0.", ("backend",), "min"),
    Family("backend_errors", "counter", "Errors of a store's driver, and calls without an answer in time.", ("store",)),
    Family(
        "backend",
        "histogram",
        "Duration of calls to a store: read and write of the database, tracker and mailbox batches of Redis.",
        ("store", "call"),
    ),
    Family("backend_calls", "gauge", "Calls to a store that wait or run.", ("store",)),
    Family(
        "redis_state",
        "gauge",
        "Number of servers of Redis in this state, as some process sees it: ok, unreachable, no_primary (the Sentinels name none), "
        "replica, full, refuses_writes (disk, or too few replicas), loading, denied, failing.",
        ("state",),
        "max",
    ),
    Family(
        "redis_server_up",
        "gauge",
        "1 if the server of the tracker is in the state ok for every process, else 0; by host, port and database.",
        ("server",),
        "min",
    ),
    Family(
        "redis_switches",
        "counter",
        "Connections to another Redis, after a restart or a failover; each process counts. The server is named if there may be several.",
        ("server",),
    ),
    Family(
        "redis_resets",
        "counter",
        "Processes that found that Redis had lost acknowledged writes or all data. The server is named if there may be several.",
        ("server",),
    ),
    Family(
        "provider_up",
        "gauge",
        "1 if the last fetch of the OpenID Connect provider's keys succeeded in every process, else 0.",
        ("provider",),
        "min",
    ),
)
"""Every metric, in the order of the answer."""
