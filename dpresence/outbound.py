"""Fetching of domain proofs, the only requests to addresses that users choose (docs/protocol.md, section 6).

The host name is resolved once, all its addresses must be public, and the connection goes to one of these checked addresses.
This prevents DNS rebinding. Redirects, proxies, cookies and content encodings are not supported. Bytes and time are limited.

Names are resolved by c-ares without a thread, so a look-up without an answer blocks nothing and ends with the deadline.
gevent resolves ``socket.getaddrinfo`` in ten threads; ten unanswered look-ups would block those for providers and databases as well.
"""

from __future__ import annotations

import io
import ipaddress
import logging
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPException, HTTPResponse
from typing import Any, Literal

import gevent
from gevent.event import Event
from gevent.resolver.ares import Resolver

from .domains import check_domain, loopback_port
from .errors import ProofFailed, SettingError, WrongValue
from .settings import OutboundSettings
from .slots import Slots

log = logging.getLogger(__name__)

Failure = Literal["dns", "refused", "tls", "timeout", "status", "size"]
Scheme = Literal["https", "http"]
Resolve = Callable[..., Sequence[tuple[Any, ...]]]

PATH = "/__presence"
FETCHES_IN_FLIGHT = 100
FETCHES_OF_OWNER = 2
UNDISTURBED_SECONDS = 1.0
"""Seconds that a fetch may use while another fetch waits for its slot. A working web server answers within this time."""
MAX_ADDRESSES = 4
"""Maximum number of addresses of a host name that are tried."""
MAX_CONNECT_SECONDS = 1.0
"""Seconds until the next address is tried. The last address has the whole timeout."""
LOGGED_CHARACTERS = 100
"""Maximum length of response data in the log."""
HEADER_BYTES = 32768

# IANA's special-purpose address registries. Global unicast IPv6 is 2000::/3, which excludes NAT64 and IPv4-compatible addresses.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_RESERVED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
    192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
_SPECIAL = tuple(ipaddress.ip_network(network) for network in _RESERVED.split())


def is_public(address: str) -> bool:
    """Return whether an IP address is public: global unicast, and not a tunnel to an IPv4 address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _UNICAST:
            return False
    return not any(ip in network for network in _SPECIAL)


def look_up(domain: str, port: int, type: int = 0) -> Sequence[tuple[Any, ...]]:
    """Resolve a name by c-ares with the resolver's current configuration; return the same as ``socket.getaddrinfo``.

    :raises OSError: the name has no address.
    """
    resolver = Resolver(use_environ=False)
    try:
        found: Sequence[tuple[Any, ...]] = resolver.getaddrinfo(domain, port, 0, type)
        return found
    finally:
        resolver.close()


class _Failed(Exception):
    """A failed fetch.

    :param details: class of the failure, which is sent to the developer.
    :param why: the reason, which is only logged.
    """

    def __init__(self, details: Failure, why: str) -> None:
        super().__init__(why)
        self.details = details


class Outbound:
    """Fetches domain proofs, with a limit on concurrent fetches in total and per owner.

    :param resolve: function that resolves a name.
    :param is_public: function that returns whether connections to an address are allowed, besides ``outbound.allow_networks``.
    :param ports: ports of https and http.
    :raises SettingError: ``outbound.ca_file`` cannot be read.
    """

    def __init__(
        self,
        settings: OutboundSettings,
        *,
        resolve: Resolve = look_up,
        is_public: Callable[[str], bool] = is_public,
        ports: tuple[int, int] = (443, 80),
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._is_public = is_public
        self._allowed = tuple(ipaddress.ip_network(network) for network in settings.allow_networks)
        self._ports = ports
        self._slots = Slots(FETCHES_IN_FLIGHT, FETCHES_OF_OWNER)
        self._context = _trust(settings.ca_file)

    def fetch_proof(self, domain: str, owner: str = "") -> tuple[str, Scheme]:
        """Fetch ``/__presence`` of a domain; return its text, without byte order mark and surrounding whitespace, and the scheme.

        Plain http is tried only where the https port refuses the connection.

        :param domain: as ``domains.check_domain`` returned it.
        :param owner: the account that requests it; "" for the service itself, to which the limits do not apply.
        :raises ProofFailed: ``details`` is the class of the failure. It contains nothing else, so that a fetch cannot be used as a
            port scanner; the log has the reason. ``dns``: the name has no address or one that is not public. ``refused``: the port
            is closed. ``tls``: the handshake failed. ``timeout``: look-up, connection or response took too long. ``size``: the
            response is too long. ``status``: any other failure to answer with status 200.
        :raises SlowDown: this owner has too many fetches in flight, or no slot became free in time.
        """
        trail: list[str] = []
        with self._slot(owner) as wanted:
            outcome = self._fetch_in_time(domain, trail, wanted)
        if isinstance(outcome, _Failed):
            log.info("the proof of %s failed: %s%s: %s", domain, outcome.details, "".join(trail), outcome)
            raise ProofFailed(f"{ProofFailed.text}: {outcome.details}", details=outcome.details)
        log.info("the proof of %s was fetched%s", domain, "".join(trail))
        return outcome

    def _slot(self, owner: str) -> AbstractContextManager[Event]:
        patience = math.ceil(self._settings.timeout_seconds)
        return self._slots.slot(owner, "domains are being validated", patience) if owner else nullcontext(Event())

    def _fetch_in_time(self, domain: str, trail: list[str], wanted: Event) -> tuple[str, Scheme] | _Failed:
        """Fetch within the deadline, which is ``UNDISTURBED_SECONDS`` while another fetch waits for the slot."""
        seconds = self._settings.timeout_seconds
        undisturbed = min(seconds, UNDISTURBED_SECONDS)
        fetch = gevent.spawn(self._try, domain, trail)
        try:
            fetch.join(undisturbed)
            gevent.wait((fetch, wanted), seconds - undisturbed, count=1)
            why = "no answer in time; another fetch waited" if wanted.is_set() else f"no answer within {seconds:g} s"
            outcome: tuple[str, Scheme] | _Failed = fetch.get() if fetch.ready() else _Failed("timeout", why)
            return outcome
        finally:
            fetch.kill()

    def _try(self, domain: str, trail: list[str]) -> tuple[str, Scheme] | _Failed:
        try:
            return self._fetch(domain, trail)
        except _Failed as error:
            return error

    def _fetch(self, domain: str, trail: list[str]) -> tuple[str, Scheme]:
        try:
            domain = check_domain(domain, self._settings.allow_loopback)
        except WrongValue as error:
            raise _Failed("dns", error.error) from None
        port = loopback_port(domain)
        if port is not None:
            return self._get("http", ["127.0.0.1"], port, domain, trail), "http"
        addresses = self._addresses(domain)
        try:
            return self._get("https", addresses, self._ports[0], domain, trail), "https"
        except ConnectionRefusedError:
            if not self._settings.http_proof:
                raise _Failed("refused", "connection refused; outbound.http_proof is false") from None
        return self._get("http", addresses, self._ports[1], domain, trail), "http"

    def _addresses(self, domain: str) -> list[str]:
        """Resolve the name once and return its addresses, IPv4 first.

        :raises _Failed: the name has no address, or one of its addresses is not public.
        """
        try:
            found = [str(each[4][0]) for each in self._resolve(domain, self._ports[0], type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            raise _Failed("dns", ascii(error)) from None
        addresses = sorted(dict.fromkeys(found), key=lambda address: ":" in address)  # IPv4 routes are more reliable
        if not addresses:
            raise _Failed("dns", "the name has no address")
        if private := [address for address in addresses if not self._may_connect(address)]:
            raise _Failed("dns", f"the address {private[0]} is not public and not in outbound.allow_networks")
        return addresses[:MAX_ADDRESSES]

    def _may_connect(self, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return self._is_public(address) or any(ip in network for network in self._allowed)

    def _get(self, scheme: Scheme, addresses: Sequence[str], port: int, host: str, trail: list[str]) -> str:
        """Fetch the proof from the first of the checked addresses that accepts a connection.

        :raises ConnectionRefusedError: with https, so that the caller can try http.
        :raises _Failed: any other failure.
        """
        try:
            with self._connect(scheme, addresses, port, host, trail) as connection:
                return self._read(connection, host)
        except TimeoutError:
            raise _Failed("timeout", "no answer in time") from None
        except ssl.SSLError as error:
            raise _Failed("tls", str(error)) from None
        except ConnectionRefusedError:
            if scheme == "https":
                raise
            raise _Failed("refused", "connection refused") from None
        except (OSError, HTTPException, ValueError) as error:
            # http.client raises ValueError for a chunk of negative length
            raise _Failed("status", ascii(error)[:LOGGED_CHARACTERS]) from None

    def _connect(self, scheme: Scheme, addresses: Sequence[str], port: int, host: str, trail: list[str]) -> socket.socket:
        connection = self._connect_first(addresses, port, f"{scheme}://{host}{PATH}", trail)
        connection.settimeout(self._settings.timeout_seconds)
        if scheme == "http":
            return connection
        # The handshake takes place at the first write. By then the caller owns the socket and closes it after any exception.
        return self._context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)

    def _connect_first(self, addresses: Sequence[str], port: int, url: str, trail: list[str]) -> socket.socket:
        """Try the addresses in order, as in RFC 8305, and return the first connection.

        :raises ConnectionRefusedError: every address failed, and at least one refused the connection.
        :raises OSError: every address failed.
        """
        failed: OSError = TimeoutError()
        for number, address in enumerate(addresses, 1):
            trail.append(f", {url} at {address}")
            last = number == len(addresses)
            try:
                return socket.create_connection((address, port), self._settings.timeout_seconds if last else MAX_CONNECT_SECONDS)
            except OSError as error:
                trail.append(f" ({error.strerror or 'timed out'})")
                failed = failed if isinstance(failed, ConnectionRefusedError) else error
        raise failed

    def _read(self, connection: socket.socket, host: str) -> str:
        """Send the request and return the body of a response with status 200.

        :raises _Failed: the response has another status or is too long.
        """
        connection.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: dpresence\r\nAccept: text/plain, */*\r\n"
            "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        most = self._settings.body_bytes
        # HTTPResponse uses only makefile() of its socket.
        with HTTPResponse(_Bounded(connection, HEADER_BYTES + most), method="GET") as response:  # type: ignore[arg-type]
            response.begin()
            if response.status != 200:
                raise _Failed("status", f"{response.status} {ascii(response.reason)[:LOGGED_CHARACTERS]}")
            if (response.length or 0) > most or len(body := response.read(most + 1)) > most:
                raise _Failed("size", f"200 with more than {most} bytes")
            return _text(body)


def _text(body: bytes) -> str:
    """Return a body as text, without the byte order mark and the final line feed that editors add."""
    utf16 = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    return body.decode("utf-16" if utf16 else "utf-8-sig", "replace").strip()


def _trust(ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's certificate authorities and those of ``outbound.ca_file``.

    :raises SettingError: the file cannot be read.
    """
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise SettingError(f"outbound.ca_file: must be a file with certificates, PEM ({error.strerror})") from None
    return context


class _Bounded(io.RawIOBase):
    """A raw stream over a socket with a limit on the bytes read, for ``HTTPResponse``.

    The limit ends an endless series of ``100 Continue`` responses. Every read yields to the event loop, because gevent's timeout
    would not fire while the socket is always readable.
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
            raise _Failed("size", f"more than {HEADER_BYTES} bytes of headers, or too much in all")
        got = self._connection.recv_into(memoryview(buffer)[: self._room])
        self._room -= got
        return got
