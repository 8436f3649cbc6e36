"""Fetching the domain proof: the only place that goes to an address a user named (docs/protocol.md, section 6).

The name is looked up once, every address it has must be public, and the connection goes to the address that was checked, so
a name that changes between two looks has nothing to change. No redirect, proxy, cookie or decoding; bytes and time have a bound.
"""

from __future__ import annotations

import io
import ipaddress
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, Literal

import gevent

from .domains import check_domain, loopback_port
from .errors import ProofFailed, SlowDown, WrongValue
from .settings import OutboundSettings

Failure = Literal["dns", "private address", "tls", "timeout", "status", "size"]
Resolve = Callable[..., Sequence[tuple[Any, ...]]]

PATH = "/__presence"
FETCHES_IN_FLIGHT = 20
HEADER_BYTES = 32768

# IANA's special-purpose registries; of IPv6 only 2000::/3 is handed out, which leaves NAT64 and v4-compatible outside
_UNICAST = ipaddress.IPv6Network("2000::/3")
_RESERVED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
    192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
_SPECIAL = tuple(ipaddress.ip_network(network) for network in _RESERVED.split())


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the open internet: global unicast, and no tunnel to an IPv4 address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _UNICAST:
            return False
    return not any(ip in network for network in _SPECIAL)


class Outbound:
    """Fetches domain proofs, a bounded number at a time.

    Deadlines are gevent's: they hold where sockets are cooperative.

    :param resolve: stands in for ``socket.getaddrinfo``.
    :param is_public: says whether an address may be connected to.
    :param ports: of https and http.
    """

    def __init__(
        self,
        settings: OutboundSettings,
        *,
        resolve: Resolve | None = None,
        is_public: Callable[[str], bool] = is_public,
        ports: tuple[int, int] = (443, 80),
    ) -> None:
        self._settings = settings
        self._resolve = resolve or socket.getaddrinfo
        self._is_public = is_public
        self._ports = ports
        self._in_flight = 0
        self._context = ssl.create_default_context()
        self._context.hostname_checks_common_name = False

    def fetch_proof(self, domain: str) -> tuple[str, Literal["https", "http"]]:
        """Return what ``/__presence`` of a domain says, stripped, and how it was fetched.

        Plain http is tried only where the https port refuses the connection.

        :param domain: as ``domains.check_domain`` returned it.
        :raises ProofFailed: its ``details`` is the class of the failure and all that is told: a fetch is no port scanner.
            ``status`` is every way of not answering 200, refusal included; ``timeout`` covers lookup, connection and answer.
        :raises SlowDown: too many fetches are in flight.
        """
        seconds = self._settings.timeout_seconds
        if self._in_flight >= FETCHES_IN_FLIGHT:
            raise SlowDown("too many domains are being validated", retry_after=math.ceil(seconds))
        self._in_flight += 1
        try:
            with gevent.Timeout(seconds) as deadline:
                return self._fetch(domain)
        except gevent.Timeout as expired:
            if expired is not deadline:
                raise
            raise _failed("timeout") from None
        finally:
            self._in_flight -= 1

    def _fetch(self, domain: str) -> tuple[str, Literal["https", "http"]]:
        try:
            domain = check_domain(domain, self._settings.allow_loopback)
        except WrongValue:
            raise _failed("private address") from None
        port = loopback_port(domain)
        if port is not None:
            return self._get("http", "127.0.0.1", port, domain), "http"
        address = self._public_address(domain)
        try:
            return self._get("https", address, self._ports[0], domain), "https"
        except ConnectionRefusedError:
            if not self._settings.http_proof:
                raise _failed("status") from None
        return self._get("http", address, self._ports[1], domain), "http"

    def _public_address(self, domain: str) -> str:
        """Look the name up, once, and return one of its addresses; a name with one address that is not public has none."""
        try:
            addresses = [str(found[4][0]) for found in self._resolve(domain, self._ports[0], type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError):
            raise _failed("dns") from None
        if not addresses:
            raise _failed("dns")
        if not all(self._is_public(address) for address in addresses):
            raise _failed("private address")
        return min(addresses, key=lambda address: ":" in address)  # IPv4 first: its routes are the ones that work

    def _get(self, scheme: Literal["https", "http"], address: str, port: int, host: str) -> str:
        """Fetch the proof from an address that was checked.

        :raises ConnectionRefusedError: over https, so that http can be tried.
        """
        try:
            with self._connect(scheme, address, port, host) as connection:
                return self._read(connection, host)
        except TimeoutError:
            raise _failed("timeout") from None
        except ssl.SSLError:
            raise _failed("tls") from None
        except (OSError, HTTPException, ValueError) as error:
            if scheme == "https" and isinstance(error, ConnectionRefusedError):
                raise
            raise _failed("status") from None  # ValueError: http.client at a chunk of negative length

    def _connect(self, scheme: Literal["https", "http"], address: str, port: int, host: str) -> socket.socket:
        connection = socket.create_connection((address, port), timeout=self._settings.timeout_seconds)
        if scheme == "http":
            return connection
        # the handshake waits for the first write: by then the caller closes the socket, whatever interrupts it
        return self._context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)

    def _read(self, connection: socket.socket, host: str) -> str:
        """Send the request and return the body of a 200."""
        connection.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: dpresence\r\nAccept: text/plain, */*\r\n"
            "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        most = self._settings.body_bytes
        # only makefile() of the socket is used
        with HTTPResponse(_Bounded(connection, HEADER_BYTES + most), method="GET") as response:  # type: ignore[arg-type]
            response.begin()
            if response.status != 200:
                raise _failed("status")
            if (response.length or 0) > most or len(body := response.read(most + 1)) > most:
                raise _failed("size")
            return body.decode("utf-8", "replace").strip()


class _Bounded(io.RawIOBase):
    """The bytes of a socket up to a bound, as the file ``HTTPResponse`` reads.

    Without the bound an endless row of ``100 Continue`` would be read for ever, and a socket that is always ready never
    lets gevent's deadline run; hence the yield at every read, too.
    """

    def __init__(self, connection: socket.socket, room: int) -> None:
        self._connection = connection
        self._room = room

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        gevent.sleep(0)
        if not self._room:
            raise _failed("size")
        got = self._connection.recv_into(memoryview(buffer)[: self._room])
        self._room -= got
        return got


def _failed(details: Failure) -> ProofFailed:
    return ProofFailed(f"{ProofFailed.text}: {details}", details=details)
