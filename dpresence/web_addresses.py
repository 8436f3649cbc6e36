"""Detection of web addresses, and of text that looks like one, in names (docs/protocol.md, section 6, Names and prose).

Each reading of a name is compared with the public suffix list.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import idna
import regex

from . import confusables, suffixes
from .abbreviations import spaced
from .confusables import ANY_LETTER, CUT
from .ip_addresses import ip_addresses
from .suffixes import KNOWN, OF_HOSTS, endings, is_registrable, is_suffix

_LABEL = rf"[\p{{L}}\p{{M}}\p{{N}}{ANY_LETTER}{CUT}-]+"
_RUN = regex.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_DIRECTION_MARK = regex.compile(r"[\u200e\u200f\u061c]")
_INNER_MARK = regex.compile(rf"(?<=\S){_DIRECTION_MARK.pattern}(?=\S)")
_SYMBOL = regex.compile(r"(?V1)[\p{S}\p{Pc}]|(?<=\.[\p{L}\p{N}]{0,2})[\p{P}--[.\-/]](?=[\p{L}\p{N}]{1,3}(?![\p{L}\p{N}]))")
"""Symbols, and punctuation in a label as short as the suffixes that everybody knows: ``c@m``."""
_HOST = regex.compile(r"(?i)https?://(?:[^\s/?#@]*@)?([\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*+)(?!\.[\p{L}\p{N}])")
"""A host without a dot after a scheme: ``http://localhost``."""
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


def refusal(text: str, domain: str = "") -> str | None:
    """Return why a name is refused: its word that reads as a web address, the address, and the way out. None if it has no such word.

    :param domain: see ``other_address``.
    """
    address = other_address(text, domain)
    if not address:
        return None
    word = next((word for word in text.split() if address in addresses(word)), text)
    only = f", and only {domain} is allowed" if domain else ""
    return f"{word!r} reads as the web address {address}{only}; if it is none, write a space after the dot"


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
    return not any(len(suffix) == 2 or suffix in KNOWN - OF_HOSTS for label in below for suffix in endings(label))


def _with_ascii(domain: str, text: str) -> str:
    """Return a text with the Unicode form of a domain replaced by its ASCII form. Text that only looks like the domain is kept."""
    shown = ".".join(idna.ulabel(label) if label.startswith("xn--") else label for label in domain.split("."))
    return str(regex.sub(regex.escape(shown), domain, text, flags=regex.IGNORECASE))


@lru_cache(maxsize=4096)
def addresses(text: str) -> tuple[str, ...]:
    """Return the parts of a text that look like web addresses, in lower case.

    With right-to-left characters or marks between them, the labels may be displayed in reverse order, so this order is checked as well.
    """
    reverse = _INNER_MARK.search(text) is not None
    readings = dict.fromkeys(confusables.readings(spaced(_DIRECTION_MARK.sub("", text))))
    return tuple(dict.fromkeys(found for reading in readings for found in _in_reading(reading, reverse)))


def load() -> None:
    """Load the lists, so that the first check of a name does not take a third of a second longer."""
    suffixes.load()
    confusables.load()


def _in_reading(text: str, reverse: bool) -> Iterator[str]:
    yield from (found for labels in _runs(text, reverse) if (found := _address(labels)))
    whole = text.replace(CUT, "")
    yield from (host.lower() for host in _HOST.findall(whole))
    for one in dict.fromkeys((whole, text.replace(CUT, " "))):
        yield from ip_addresses(one)


def _runs(text: str, reverse: bool) -> Iterator[list[str]]:
    """Yield the labels of each run with dots. A symbol is read both as the end of a label and as a letter: ``Bank®.com``."""
    if "." not in text:
        return
    for run in dict.fromkeys([*_RUN.findall(text), *_RUN.findall(_SYMBOL.sub(ANY_LETTER, text))]):
        labels = run.split(".")
        yield labels
        if reverse or _RIGHT_TO_LEFT.search(run):
            yield labels[::-1]


def _address(labels: list[str]) -> str | None:
    """Return the longest address that the labels are or begin with, None without one.

    Examples are ``bank.com.login``, ``bank.com-login`` and ``bank.com登录``.
    """
    plain = [label.replace(CUT, "") for label in labels]
    for at in range(len(labels) - 1, 0, -1):
        for suffix in endings(labels[at]):
            name = ".".join([*plain[:at], suffix]).lower()
            if is_registrable(name) or is_suffix(name):
                return name.replace(ANY_LETTER, "x")
    return None
