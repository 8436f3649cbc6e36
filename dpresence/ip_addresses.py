"""Detection of IP addresses in names, in the notations that browsers accept and that people read (docs/protocol.md, section 6)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address

import regex

_NOBODYS = IPv4Network("0.0.0.0/8")
_AS_IP = str.maketrans("lIoO\ua789\u02f8\u0589\u2236\u02d0", "1100:::::")
"""Characters that look like those of an IP address (UTS 39), each by the one that it looks like."""
_HEX = r"0[xX][0-9A-Fa-f]+"
_NUMBER = rf"(?:{_HEX}|[0-9lIoO]+)"
_PORT = r"(?!(?:19|20)[0-9]{2}(?![0-9]))[0-9]{4,5}"  # no year, as in ISO 9001:2015
_STARTS = r"(?<![\p{L}\p{N}]|[\p{L}\p{N}][.-])"
_ENDS = r"(?![\p{L}\p{N}]|\.\p{N})"
_IPV4 = regex.compile(
    rf"""(?x)
    (?=[0-9lIoOhH]) (?:
      {_STARTS} ({_NUMBER} (?:\.{_NUMBER}){{3}}) {_ENDS}
    | {_STARTS} ({_HEX} (?:\.{_NUMBER}){{1,2}}) {_ENDS}                                             # 0x7f.1
    | (?i:https?)://(?:[^\s/?\#@]*@)? ({_NUMBER} (?:\.{_NUMBER}){{1,2}}) {_ENDS}                          # http://127.1
    | {_STARTS} ({_NUMBER} (?:\.{_NUMBER}){{1,2}} | {_HEX} | [0-9]{{9,10}}) (?=:{_PORT}{_ENDS})    # 127.1:8080
    )
    """
)
"""An address of four numbers; and one of fewer where it is not a version, a price or a time."""
_IN_BRACKETS = regex.compile(r"\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]")
_IPV6 = regex.compile(
    r"(?<![\p{L}\p{N}:.])(?:(?=[0-9A-Fa-f]{4}:)[0-9A-Fa-f:]*(?:[0-9A-Fa-f]|::)(?:\.[0-9]+)*|::(?:[Ff]{4}:[0-9A-Fa-f:]+(?:\.[0-9]+)*|1))(?![\p{L}\p{N}])"
)


def ip_addresses(text: str) -> Iterator[str]:
    """Yield the IP addresses in a text in canonical form, also those with letters or foreign digits for digits: ``192.l68.0.1``."""
    plain = text if text.isascii() else "".join(map(_digit, text))
    dotted = ("".join(groups) for groups in _IPV4.findall(plain))
    yield from filter(None, (_ipv4(found.translate(_AS_IP).split(".")) for found in dotted if any(map(str.isdigit, found))))
    with_colons = plain.translate(_AS_IP)
    for found in (*_IN_BRACKETS.findall(with_colons), *filter(_is_in_use, _IPV6.findall(with_colons))):
        with suppress(AddressValueError):
            yield str(IPv6Address(found))


def _ipv4(numbers: list[str]) -> str | None:
    """Return the address of one to four numbers, of which the last stands for all bytes that are left (WHATWG, URL), None if it is none."""
    *first, last = map(_number, numbers)
    rest = 256 ** (4 - len(first))
    if max(first, default=0) > 255 or last >= rest:
        return None
    address = IPv4Address(int.from_bytes(bytes(first)) * rest + last)
    return str(address) if len(numbers) == 4 or address not in _NOBODYS else None


def _number(text: str) -> int:
    """Return a number: hexadecimal after ``0x``, octal after ``0``, else decimal."""
    if text[1:2] in ("x", "X"):
        return int(text[2:], 16)
    return int(text, 8 if regex.fullmatch("0[0-7]+", text) else 10)


def _is_in_use(address: str) -> bool:
    """Return whether an IPv6 address without brackets is one that machines have, and no time and no ``1::2`` of a text."""
    return address.lower().startswith(("::", "fe80:")) or len(address.replace("::", ":").strip(":").split(":")) > 2


@lru_cache(maxsize=4096)
def _digit(char: str) -> str:
    return char if char.isascii() else str(unicodedata.decimal(char, char))
