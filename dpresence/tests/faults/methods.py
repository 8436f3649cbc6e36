"""The methods and functions of a channel's path, found by introspection so that new ones are among them."""

from __future__ import annotations

import dataclasses
import enum
import inspect

import gevent

from dpresence.channels import (
    connection,
    connection_base,
    connection_scheduler,
    deadlines,
    frame_receiver,
    frames,
    gate,
    readiness,
    send_buffer,
    ticker,
    wire,
    workers,
)

MODULES = (
    connection,
    connection_base,
    wire,
    connection_scheduler,
    deadlines,
    frame_receiver,
    send_buffer,
    frames,
    gate,
    readiness,
    ticker,
    workers,
)
KINDS = {"MemoryError": MemoryError, "GreenletExit": gevent.GreenletExit, "Timeout": gevent.Timeout}
ELSEWHERE = frozenset((
    "frames.binary_frame",  # used by the tests only
    "gate.Gate.__init__", "gate.Gate.limit_to_files",  # at the start
    "ticker.Ticker.__init__", "ticker.Ticker.start", "ticker.Ticker._run", "workers.Workers.__init__",  # at the start
    "deadlines.Deadlines.__init__", "frames.ping_frame", "readiness.Readiness.__init__", "readiness.readiness_of",  # at the start
    "gate.Gate.close_all", "ticker.Ticker.stop", "deadlines.Deadlines.__iter__",  # at the end
    "gate.Gate.counts", "gate.Gate._retry_after",
    "wire.Wire.backlog",  # not called for open connections
    "connection_base.ConnectionBase.silent",  # after the loss of a device alone
    "connection.Connection.resume", "connection.Connection.on_readable", "readiness.Readiness._dispatch",  # those that guard the rest
))  # fmt: skip
"""Methods that no open connection depends on."""


def _is_ours(module, item):
    return getattr(item, "__module__", "") == module.__name__ and not getattr(item, "_is_protocol", False)


def functions():
    """Yield (name, owner, attribute, function) of everything a fault can be in."""
    for module in MODULES:
        short = module.__name__.rpartition(".")[2]
        for name, item in list(vars(module).items()):
            if not _is_ours(module, item):
                continue
            if inspect.isfunction(item):
                yield f"{short}.{name}", module, name, item
            elif inspect.isclass(item) and not issubclass(item, tuple | Exception | enum.Enum) and not dataclasses.is_dataclass(item):
                for attribute, method in list(vars(item).items()):
                    function = method.fget if isinstance(method, property) else method
                    if inspect.isfunction(function) and not getattr(function, "__isabstractmethod__", False):
                        yield f"{short}.{name}.{attribute}", item, attribute, method


def names():
    """Return the name of each method and function of the path."""
    return sorted(name for name, *_ in functions() if name not in ELSEWHERE)
