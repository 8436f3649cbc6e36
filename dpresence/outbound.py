"""HTTP requests to addresses that others name: domain proofs, and the endpoints of identity providers and push services.

The host name is resolved once, all its addresses must be allowed, and the connection goes to one of these checked addresses.
This prevents DNS rebinding. Redirects, proxies, cookies and content encodings are not supported. Bytes and time are limited.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from time import monotonic
from typing import Any

import gevent

from .fetch_failures import LOGGED_CHARACTERS, NOT_CONNECTED, Failure, FetchFailed, describe, explain
from .networks import look_up
from .targets import Scheme, Target

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
Prepare = Callable[[], tuple[bytes, Mapping[str, str]]]

__all__ = ["LOGGED_CHARACTERS", "Failure", "FetchFailed", "Fetcher", "Resolve", "Response", "Scheme", "Target", "wait_seconds"]

MAX_ADDRESSES = 4
"""Maximum number of addresses of a host name that are tried."""
MAX_CONNECT_SECONDS = 1.0
"""Seconds until the next address is tried. The last address has the rest of the time."""
HEADER_BYTES = 32768

MAX_WAIT_SECONDS = 86_400
"""Longest wait that a server may ask for."""

_HEADER = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class Response:
    """A response with an accepted status; its headers are found in any case.

    :ivar where: URL and address for the log, as in ``FetchFailed``.
    """

    status: int
    body: bytes
    where: str
    headers: Message


class _Deadline(gevent.Timeout):  # type: ignore[misc]
    where = ""


class Fetcher:
    """Sends requests, each over a new connection to an allowed address.

    :param may_connect: returns whether connections to an IP address are allowed.
    :param refusal: text for the log that follows a refused address, such as ``is not public``.
    :param seconds: see ``deadline``.
    :param body_bytes: maximum length of a body.
    :param ca_file: file with certificates, PEM, that are trusted besides the system's; empty for none.
    :param resolve: function that resolves a name.
    :param failed_lookup_seconds: minimum duration of a look-up without an allowed address.
    :raises OSError: ``ca_file`` cannot be read.
    """

    def __init__(
        self,
        may_connect: Callable[[str], bool],
        refusal: str,
        *,
        seconds: float,
        body_bytes: int,
        ca_file: str = "",
        resolve: Resolve = look_up,
        failed_lookup_seconds: float = 0,
    ) -> None:
        self._failed_lookup_seconds = failed_lookup_seconds
        self._may_connect = may_connect
        self._refusal = refusal
        self._seconds = seconds
        self._body_bytes = body_bytes
        self._resolve = resolve
        self._context = ssl.create_default_context()
        self._context.hostname_checks_common_name = False
        if ca_file:
            self._context.load_verify_locations(ca_file)

    @contextmanager
    def deadline(self) -> Iterator[None]:
        """Limit the total time of look-ups and requests in this context; requires cooperative sockets.

        :raises FetchFailed: the time has run out.
        """
        timeout = _Deadline(self._seconds)
        try:
            with timeout:
                yield
        except _Deadline as expired:
            if expired is not timeout:
                raise
            raise FetchFailed("timeout", f"no answer within {self._seconds:g} s", expired.where) from None

    def addresses(self, target: Target) -> list[str]:
        """Resolve the target's name once and return its addresses, IPv4 first.

        :raises FetchFailed: the name has no address, or one of its addresses is not allowed. See ``failed_lookup_seconds``.
        """
        began = monotonic()
        try:
            return self._addresses(target)
        except FetchFailed:
            gevent.sleep(max(0.0, began + self._failed_lookup_seconds - monotonic()))
            raise

    def _addresses(self, target: Target) -> list[str]:
        with _located([str(target)]):
            try:
                found = [str(each[4][0]) for each in self._resolve(target.host, target.port, type=socket.SOCK_STREAM)]
            except (OSError, UnicodeError) as error:
                raise FetchFailed("dns", f"the name cannot be resolved ({describe(error)})") from None
            addresses = sorted(dict.fromkeys(found), key=lambda address: ":" in address)  # IPv4 routes are more reliable
            if not addresses:
                raise FetchFailed("dns", "the name has no address")
            if refused := [address for address in addresses if not self._may_connect(address)]:
                raise FetchFailed("dns", f"the address {refused[0]} {self._refusal}")
            return addresses[:MAX_ADDRESSES]

    def request(
        self,
        method: str,
        target: Target,
        *,
        addresses: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        prepare: Prepare | None = None,
        statuses: Container[int] = (200,),
        reads: bool = True,
    ) -> Response:
        """Send a request to the first address that accepts a connection; must be called within ``deadline``.

        :param addresses: addresses that were checked before; by default those that ``addresses`` returns.
        :param prepare: returns the body and the headers in place of those arguments. It is called when the connection, with TLS, is there.
        :param statuses: statuses to accept.
        :param reads: read the body of the response.
        :raises FetchFailed: there is no response, its status is not accepted, or it is too long.
        """
        addresses = addresses or self.addresses(target)
        where = [str(target)]
        with _located(where), self._connect(target, addresses, where) as connection:
            http = HTTPConnection(target.host)
            http.sock = _Bounded(connection, HEADER_BYTES + self._body_bytes)
            if prepare:
                body, headers = _prepared(connection, prepare)
            http.request(method, target.path, body, _headers(target, headers or {}))
            with closing(http), http.getresponse() as response:
                if response.status not in statuses:
                    raise FetchFailed("status", f"status {response.status} {ascii(response.reason)[:LOGGED_CHARACTERS]}")
                if not reads:
                    return Response(response.status, b"", "".join(where), response.headers)
                limit = self._body_bytes
                if (response.length or 0) > limit or len(received := response.read(limit + 1)) > limit:
                    raise FetchFailed("size", f"status {response.status} with more than {limit} bytes")
                return Response(response.status, received, "".join(where), response.headers)

    def _connect(self, target: Target, addresses: Sequence[str], where: list[str]) -> socket.socket:
        connection = self._connect_first(target, addresses, where)
        connection.settimeout(self._seconds)
        if target.scheme == "http":
            return connection
        # The handshake takes place at the first write. By then the caller owns the socket and closes it after any exception.
        return self._context.wrap_socket(connection, server_hostname=target.host, do_handshake_on_connect=False)

    def _connect_first(self, target: Target, addresses: Sequence[str], where: list[str]) -> socket.socket:
        """Try the addresses in order, as in RFC 8305, and return the first connection.

        :raises ConnectionRefusedError: every address failed, and at least one refused the connection.
        :raises OSError: every address failed.
        """
        failed: OSError = TimeoutError()
        for number, address in enumerate(addresses, 1):
            last = number == len(addresses)
            seconds = self._seconds if last else MAX_CONNECT_SECONDS
            where.append(f" at {address}")
            try:
                return socket.create_connection((address, target.port), seconds)
            except OSError as error:
                if not last:
                    where.append(f" ({describe(error)}),")
                failed = failed if isinstance(failed, ConnectionRefusedError) else error
        raise failed


def _prepared(connection: socket.socket, prepare: Prepare) -> tuple[bytes, Mapping[str, str]]:
    if isinstance(connection, ssl.SSLSocket):
        connection.do_handshake()
    return prepare()


def _headers(target: Target, more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request.

    :raises FetchFailed: a value is not printable ASCII; it may be a secret, so it is not in the text.
    """
    if wrong := [name for name, value in more.items() if not _HEADER.fullmatch(value)]:
        raise FetchFailed("status", f"the header {wrong[0]} to send is not printable ASCII")
    return {"Host": target.authority, "User-Agent": "dpresence", "Accept-Encoding": "identity", "Connection": "close", **more}


@contextmanager
def _located(where: list[str]) -> Iterator[None]:
    """Translate every failure of a request into ``FetchFailed`` and add the place to it.

    :param where: parts of the text of the place; may grow in the meantime.
    """
    try:
        yield
    except (FetchFailed, _Deadline) as failed:
        failed.where = "".join(where)
        raise
    except (OSError, HTTPException, ValueError) as error:  # http.client raises ValueError for a chunk of negative length
        failure, cause = explain(error)
        detail = f" ({describe(error)})" if cause == NOT_CONNECTED else ""
        raise FetchFailed(failure, cause, "".join(where) + detail) from None


class _Bounded(io.RawIOBase):
    """A socket with a limit on the bytes read, for ``http.client``.

    The limit ends an endless series of ``100 Continue`` responses. Every read yields to the event loop, because gevent's timeout
    would not fire while the socket is always readable.
    """

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._connection = connection
        self._left = limit

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def close(self) -> None:
        """Do nothing: ``http.client`` closes its socket before it has read the body; the owner of the connection closes it."""

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        gevent.sleep(0)
        if not self._left:
            raise FetchFailed("size", f"more than {HEADER_BYTES} bytes of headers, or too much in all")
        got = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= got
        return got


def wait_seconds(text: str, now: float) -> float:
    """Return the seconds that ``Retry-After`` asks for, a number or a date, up to ``MAX_WAIT_SECONDS``; 0 if it is missing or malformed."""
    if text.isascii() and text.isdigit():
        return float(min(int(text[:6]), MAX_WAIT_SECONDS))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0
    return min(max(at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now, 0), MAX_WAIT_SECONDS)
