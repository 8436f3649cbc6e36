"""Detection of web addresses, and of text that looks like one, in names (docs/protocol.md, section 6, Names and prose).

Each reading of a name is compared with the public suffix list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import idna
import regex

from . import confusables, suffixes
from .abbreviations import is_abbreviation, is_name
from .confusables import DIRECTION_MARKS
from .ip_addresses import ip_addresses
from .suffixes import is_registrable, is_suffix, top_levels

_ANY_LETTER = "\ue000"
"""A character of no text, for a symbol that is read as a letter."""
_LABEL = rf"[\p{{L}}\p{{M}}\p{{N}}{_ANY_LETTER}{DIRECTION_MARKS}-]+"
_RUN = regex.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_DIRECTION_MARK = regex.compile(f"[{DIRECTION_MARKS}]")
_SYMBOL = regex.compile(r"[\p{S}\p{Pc}]")
_HOST = regex.compile(r"(?i)https?://(?:[^\s/?#@]*@)?([\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*+)(?!\.[\p{L}\p{N}])")
"""A host without a dot after a scheme: ``http://localhost``."""
# In scripts that do not separate words by spaces, a suffix ends where the script changes: ``bank.com登录``.
_ONE_SCRIPT = regex.compile(
    r"[\p{Script=Latin}0-9]+|\p{Script=Han}+|\p{Script=Hiragana}+|[^\p{Script=Latin}\p{Script=Han}\p{Script=Hiragana}]+"
)
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
    return next((address for address in found if not f".{address}".endswith(f".{domain or '.'}")), None)


def _with_ascii(domain: str, text: str) -> str:
    """Return a text with the Unicode form of a domain replaced by its ASCII form. Text that only looks like the domain is kept."""
    shown = ".".join(idna.ulabel(label) if label.startswith("xn--") else label for label in domain.split("."))
    return str(regex.sub(regex.escape(shown), domain, text, flags=regex.IGNORECASE))


@lru_cache(maxsize=4096)
def addresses(text: str) -> tuple[str, ...]:
    """Return the parts of a text that look like web addresses, in lower case.

    With right-to-left characters between them, the labels may be displayed in reverse order, so this order is checked as well.
    """
    readings = dict.fromkeys(confusables.readings(text))
    return tuple(dict.fromkeys(found for reading in readings for found in _in_reading(reading)))


def load() -> None:
    """Load the lists, so that the first check of a name does not take a third of a second longer."""
    suffixes.load()
    confusables.load()


def _in_reading(text: str) -> Iterator[str]:
    yield from (found for labels in _runs(text) if (found := _address(labels)))
    yield from (host.lower() for host in _HOST.findall(text))
    yield from ip_addresses(text)


def _runs(text: str) -> Iterator[list[str]]:
    """Yield the labels of each run with dots. A symbol is read both as the end of a label and as a letter: ``Bank®.com``."""
    if "." not in text:
        return
    for run in dict.fromkeys([*_RUN.findall(text), *_RUN.findall(_SYMBOL.sub(_ANY_LETTER, text))]):
        labels = _DIRECTION_MARK.sub("", run).split(".")
        yield labels
        if _RIGHT_TO_LEFT.search(run):
            yield labels[::-1]


def _address(labels: list[str]) -> str | None:
    """Return the longest address that the labels are or begin with, None without one.

    Examples are ``bank.com.login``, ``bank.com-login`` and ``bank.com登录``.
    """
    for at in range(len(labels) - 1, 0, -1):
        for last, suffix in _last_labels(labels[at]):
            if _is_address(labels[:at], last, suffix):
                return ".".join([*labels[:at], suffix]).lower().replace(_ANY_LETTER, "x")
    return None


@lru_cache(maxsize=4096)
def _last_labels(label: str) -> tuple[tuple[str, str], ...]:
    """Return what a label is or begins with and can end an address, each with the top-level domain that it looks like."""
    begins = label.split("-", maxsplit=1)[0]
    found = dict.fromkeys([label, begins, *_ONE_SCRIPT.findall(begins)[:1]])
    return tuple((last, suffix) for last in found for suffix in top_levels(last))


def _is_address(before: Sequence[str], last: str, suffix: str) -> bool:
    """Return whether labels form a domain that can be registered, a subdomain of one, or a suffix of several labels: ``gov.uk``.

    :param last: the last label as it is spelled.
    :param suffix: the top-level domain that it looks like.
    """
    if is_name([*before, last]):
        return False
    name = ".".join([*before, suffix]).lower()
    return is_registrable(name) or (is_suffix(name) and not is_abbreviation(before[0]))
