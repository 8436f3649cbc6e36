"""An operation of REST: who may make a call, what it takes, and what it is answered with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Caller = Literal["anybody", "user", "session", "operator", "service", "development", "monitor"]
ERRNOS_OF: dict[Caller, tuple[int, ...]] = {
    "anybody": (),
    "user": (34, 104, 121, 122, 130),
    "session": (104, 121, 130),
    "operator": (104, 121, 130),
    "service": (104, 105, 140, 142),
    "development": (111, 121),
    "monitor": (121,),
}
"""Errnos by which a caller is refused."""
EVERY_CALL = (107, 113, 117, 201, 999)
"""A late body or a query that is no UTF-8; a body that is too large; too many requests; an unavailable service; an internal error."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    :param call: method and path.
    :param id: its name in generated clients.
    :param answers: the body of each HTTP status that is no error; None without one, ``str`` for a page only, ``bytes`` for a file,
        ``dict`` for a document, a tuple of the bodies of which it is one.
    :param body: the struct of the body, ``Empty`` for a call without fields; None where a body is not read.
    :param form: the fields of the HTML form that is its body; none of them may be omitted.
    :param picture: its body is a picture.
    :param optional: the body may be omitted.
    :param errnos: the errnos of this call, besides those of its caller, its body, its path and every call.
    :param query: its query parameters (``descriptions.PARAMETERS``).
    :param stream: the answer may also be an event stream.
    :param page: browsers, which name ``text/html`` in ``Accept``, get a page.
    """

    call: str
    id: str
    summary: str
    caller: Caller
    answers: Mapping[int, Any]
    body: Any = None
    form: tuple[str, ...] = ()
    picture: bool = False
    optional: bool = False
    errnos: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    page: bool = False
    stream: bool = False

    @property
    def method(self) -> str:
        """The HTTP method, in capitals."""
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path, with parameters in braces."""
        return self.call.partition(" ")[2]

    @property
    def all_errnos(self) -> list[int]:
        """Every errno that the call may be refused with, in ascending order."""
        path = (111,) if "{" in self.path else ()  # a slash in a parameter
        body = (106, 107, 108) if self.body is not None else ()
        return sorted({*self.errnos, *ERRNOS_OF[self.caller], *body, *path, *EVERY_CALL})
