"""Detection of web addresses, and of text that looks like one, in names (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

import socket
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

import idna
import regex

from .abbreviations import without_name_dots
from .confusables import ascii_lookalike, dot_readings, normalize, readings, skeleton, without_specks
from .suffixes import KNOWN, top_level_domains

_OF_HOSTS = frozenset({"app", "dev"})
"""Known suffixes that hosts below a domain have as names as well: ``my.app.example.org``."""
_SIGN_FOR_LETTER = r"(?<=\.[\p{L}\p{N}]{0,2})[\p{P}--[.\-/]](?=[\p{L}\p{N}]{1,3}(?![\p{L}\p{N}]))"
"""Punctuation in a label as short as the suffixes that everybody knows: ``c@m``."""
_LABEL = rf"(?=[^\s.]*[\p{{L}}\p{{N}}\P{{ASCII}}])(?:[\p{{L}}\p{{M}}\p{{N}}\p{{S}}\p{{Pc}}-]|{_SIGN_FOR_LETTER})+"
_RUN = regex.compile(rf"(?V1){_LABEL}(?:\.{_LABEL})+")
_TURN = regex.compile(r"(?<=\S)[\u200e\u200f\u061c\p{Bidi_Class=AN}](?=\S)")
"""A mark of direction or an Arabic digit inside a word."""
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}\p{Bidi_Class=AN}]")
_DISPLAYED_PART = regex.compile(rf"{_RIGHT_TO_LEFT.pattern}\p{{M}}*|(?:(?!{_RIGHT_TO_LEFT.pattern}).)+")
_HOST = regex.compile(r"(?i)https?://(?:[^\s/?#@]*@)?([\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*+)(?!\.[\p{L}\p{N}])")
"""A host without a dot after a scheme: ``http://localhost``."""

_HEX = r"0[xX][0-9A-Fa-f]+"
_NUMBER = rf"(?:{_HEX}|[0-9lIoO]+)"
_PORT = r"(?!(?:19|20)[0-9]{2}(?![0-9]))[0-9]{4,5}"  # no year, as in ISO 9001:2015
_IP_START = r"(?<![A-Za-z0-9]|[\p{L}\p{N}][.-])"
_IP_END = r"(?![A-Za-z0-9]|\.[0-9])"
_IPV4 = regex.compile(
    rf"""(?x) (?|
      {_IP_START} ({_NUMBER} (?:\.{_NUMBER}){{3}}) {_IP_END}
    | {_IP_START} ({_HEX} (?:\.{_NUMBER}){{1,2}}) {_IP_END}                                             # 0x7f.1
    | (?i:https?)://(?:[^\s/?\#@]*@)? ({_NUMBER} (?:\.{_NUMBER}){{1,2}}) {_IP_END}                      # http://127.1
    | {_IP_START} ({_NUMBER} (?:\.{_NUMBER}){{1,2}} | {_HEX} | [0-9]{{9,10}}) (?=:{_PORT}{_IP_END})       # 127.1:8080
    )"""
)
"""An address of four numbers; and one of fewer where it is not a version, a price or a time."""
_GROUPS = r"(?=[^:]*:[^:]*:)[0-9A-FOa-floI:]*(?:[0-9A-FOa-floI]|::)(?:\.[0-9]+){0,3}"
_IPV6 = regex.compile(rf"(?<![A-Za-z0-9:.])(\[)?({_GROUPS})(?![A-Za-z0-9])")
_DIGITS = str.maketrans("lIoO", "1100")
_NOT_OCTAL = regex.compile(r"(?<![0-9A-Za-z])0+(?=[0-9]*[89])")


def refusal(text: str, domain: str = "") -> str | None:
    """Return why a name is refused: its word that reads as a web address, the address, and the way out. None if it has no such word.

    :param domain: see ``other_address``.
    """
    address = other_address(text, domain)
    if not address:
        return None
    word = next((word for word in text.split() if address in addresses(word)), text)
    only = f", and only {domain} is allowed" if domain else ""
    return f"{word!r} reads as the web address {address}{only}; if it is none, write {_way_out(address)}"


def _way_out(address: str) -> str:
    is_host_or_ip = ":" in address or address.replace(".", "").isdigit() or "." not in address
    return "a space after each dot and colon" if is_host_or_ip else "a space after the dot"


def other_address(text: str, domain: str) -> str | None:
    """Return the first web address in a text that is neither the application's domain nor a subdomain of it, None without one.

    :param domain: the application's domain, canonical; empty: every address is another one.
    """
    found = addresses(_with_ascii(domain, text) if "xn--" in domain else text)
    return next((address for address in found if not _is_own(address, domain)), None)


def _is_own(address: str, domain: str) -> bool:
    """Return whether an address is a domain or a subdomain of it, and no subdomain such as ``bank.com.example.org``."""
    if not domain or not f".{address}".endswith(f".{domain}"):
        return False
    below = address.removesuffix(domain).split(".")[1:-1]
    return not any(len(suffix) == 2 or suffix in KNOWN - _OF_HOSTS for label in below for suffix in top_level_domains(label))


def _with_ascii(domain: str, text: str) -> str:
    """Return a text with the Unicode form of a domain replaced by its ASCII form. Text that only looks like the domain is kept.

    The Unicode form of a domain with a label that can be confused with ASCII is kept as well, because it looks like another domain.
    """
    labels = [idna.ulabel(label) if label.startswith("xn--") else label for label in domain.split(".")]
    if any(map(_passes_for_ascii, labels)):
        return text
    shown = ".".join(labels)
    return str(regex.sub(regex.escape(shown), domain, text, flags=regex.IGNORECASE))


def _passes_for_ascii(label: str) -> bool:
    """Return whether a label looks like ASCII and is none. One of ASCII letters with accents does not look like it."""
    return not label.isascii() and skeleton(label).isascii() and not regex.sub(r"\p{M}", "", unicodedata.normalize("NFD", label)).isascii()


@lru_cache(maxsize=4096)
def addresses(text: str) -> tuple[str, ...]:
    """Return the parts of a text that look like web addresses, in lower case.

    With right-to-left characters or marks between them, the labels may be displayed in reverse order, so this order is checked as well.
    A dot that is doubled or has specks around it is one before suffixes that everybody knows only.
    """
    reverse = _TURN.search(text) is not None
    texts = dot_readings(without_name_dots(normalize(text)))
    found = [address for reading in texts for address in _in_reading(reading, reverse)]
    for reading in {*map(without_specks, texts)}.difference(texts):
        found += [address for address in _in_reading(reading, reverse) if address.rpartition(".")[2] in KNOWN]
    return tuple(dict.fromkeys(found))


def load() -> None:
    """Load the lists, so that the first check of a name does not take a third of a second longer."""
    addresses("é.com")


def _in_reading(text: str, reverse: bool) -> Iterator[str]:
    for run in _RUN.findall(text) if "." in text else ():
        labels = run.split(".")
        yield from _address(labels)
        if reverse or _RIGHT_TO_LEFT.search(run):
            yield from _address(labels[::-1])
            yield from _address([*map(_as_displayed, reversed(labels))])
    yield from (host.lower() for host in _HOST.findall(text))
    digits = text if text.isascii() else "".join(map(_for_ip, text))
    yield from _ipv4(digits)
    yield from _ipv6(digits)


def _as_displayed(label: str) -> str:
    """Return a label as it is displayed in right-to-left text, from the left to the right."""
    return "".join(reversed(_DISPLAYED_PART.findall(label)))


def _address(labels: Sequence[str]) -> list[str]:
    """Return the longest address that the labels are or begin with, none without one: ``bank.com`` of ``bank.com-login.here``."""
    for at in range(len(labels) - 1, 0, -1):
        if suffix := next(iter(top_level_domains(labels[at])), None):
            return [".".join([*(_shown(label, suffix.isascii()) for label in labels[:at]), suffix])]
    return []


@lru_cache(maxsize=4096)
def _shown(label: str, in_ascii: bool) -> str:
    """Return a label as it looks if that is ASCII, before a suffix that is, else as it is written."""
    found = readings(label)
    return next((one for one in found if in_ascii and one.isascii()), found[0]).lower()


def _ipv4(text: str) -> Iterator[str]:
    """Yield the IPv4 addresses in a text, in any notation of numbers, also with letters for digits: ``192.l68.0.1``."""
    for found in (match[1] for match in _IPV4.finditer(text)):
        if any(map(str.isdigit, found)):
            with suppress(OSError):  # a number is too large
                yield socket.inet_ntoa(socket.inet_aton(_NOT_OCTAL.sub("", found.translate(_DIGITS))))


def _ipv6(text: str) -> Iterator[str]:
    """Yield the IPv6 addresses in a text: those in brackets, and others that machines have. A time is none, nor is ``1::2``."""
    for bracket, found in _IPV6.findall(text):
        with suppress(AddressValueError):
            address = IPv6Address(found.translate(_DIGITS))
            groups = len(found.replace("::", ":").strip(":").split(":"))
            special = address.is_link_local or address.is_loopback or address.ipv4_mapped is not None
            if bracket or special or (groups > 2 and not address.is_reserved):
                yield str(address)


@lru_cache(maxsize=4096)
def _for_ip(char: str) -> str:
    """Return the digit (with its full stop), the letter like one, or the sign that a character is read as; another letter is kept."""
    found = str(unicodedata.decimal(char, ascii_lookalike(char)))
    return char if (len(found) > 1 and found[1:] != ".") or (found.isalpha() and found not in "lIoO") else found
