"""Decorators that run a backend's method as one transaction of its ``Database``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from time import perf_counter
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from ...model import Account
from ...tasks import present_caller
from .engine import Database

T = TypeVar("T")
P = ParamSpec("P")


class HasDatabase(Protocol):
    """A backend that stores its rows in a ``Database``.

    The key of a call in the database's queue is its caller (``tasks.on_behalf_of``), else the arguments determine it; see ``owner_of``.
    """

    database: Database


_PLAIN = (str, bytes, int, type(None))

B = TypeVar("B", bound=HasDatabase)
Method = Callable[Concatenate[B, Connection, P], T]
Caller = Callable[Concatenate[B, P], T]


def transaction(
    *, urgent: bool = False, erasing: Literal["never", "always", "if any"] = "never", key: Callable[..., str] | None = None
) -> Callable[[Method[B, P, T]], Caller[B, P, T]]:
    """Run a backend's method in one transaction. The method takes the connection as an argument that its callers do not pass.

    :param urgent: the calls do not wait behind calls that are not urgent: those of a sign-in or a sign-out, and the health checks.
    :param erasing: whether calls also remove the deleted data from the files, "if any": those whose result is true; see ``Database.scrub``.
    :param key: returns the queue key of a call from its arguments; ``owner_of`` by default.
    """

    def decorate(method: Method[B, P, T]) -> Caller[B, P, T]:
        run = _in_transaction(method, Database.run, urgent, key)

        @functools.wraps(method)
        def run_and_scrub(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
            result = run(self, *args, **kwargs)
            if result or erasing == "always":
                self.database.scrub()
            return result

        return run if erasing == "never" else run_and_scrub

    return decorate


def reading(
    *, urgent: bool = False, single: bool = False, key: Callable[..., str] | None = None
) -> Callable[[Method[B, P, T]], Caller[B, P, T]]:
    """Run a backend's method in one read-only transaction; see ``Database.read``.

    :param single: the method executes one statement.
    :param key: returns the queue key of a call from its arguments; ``owner_of`` by default.
    """
    read = functools.partial(Database.read, single=True) if single else Database.read
    return lambda method: _in_transaction(method, read, urgent, key)


def nondurable(*, urgent: bool = False, key: Callable[..., str] | None = None) -> Callable[[Method[B, P, T]], Caller[B, P, T]]:
    """Run a backend's method in one non-durable transaction; see ``Database.write_nondurable``.

    :param key: returns the queue key of a call from its arguments; ``owner_of`` by default.
    """
    return lambda method: _in_transaction(method, Database.write_nondurable, urgent, key)


def _in_transaction(
    method: Method[B, P, T], execute: Callable[..., Any], urgent: bool = False, key: Callable[P, str] | None = None
) -> Caller[B, P, T]:
    kind = "read" if getattr(execute, "func", execute) is Database.read else "write"
    owner = key or (lambda *args, **kwargs: owner_of([*args, *kwargs.values()]))

    def caller(*args: P.args, **kwargs: P.kwargs) -> str:
        named = present_caller()
        return owner(*args, **kwargs) if named is None else named

    @functools.wraps(method)
    def run(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
        began = perf_counter()
        try:
            result: T = execute(
                self.database,
                lambda connection: method(self, connection, *args, **kwargs),
                key=lambda: caller(*args, **kwargs),  # calls that do not wait in the queue need none
                urgent=urgent,
            )
        finally:
            self.database.measures.seconds[kind].observe(perf_counter() - began)
        return result

    return run


def owner_of(args: Sequence[object]) -> str:
    """Return the key of a call: the account that has authenticated for it, else the owner that the first argument identifies or belongs to.

    Every hash is a key of its own until its owner is known, so that calls of different users do not share one. A call without arguments
    is the service's own and has the empty key, as has every call of a periodic job (``tasks.enter_job``).
    """
    for arg in args[1:]:
        if not isinstance(arg, _PLAIN):
            account = getattr(arg, "account", arg)
            if isinstance(account, Account):
                return account.id
    first = args[0] if args else ""
    while not isinstance(first, _PLAIN) and isinstance(first, Collection):
        first = next(iter(first), "")
    if isinstance(first, str | bytes | int):
        return first.hex() if isinstance(first, bytes) else str(first)
    return next((owner for name in ("user", "owner", "appid", "email") if (owner := getattr(first, name, ""))), "")
