"""Detection of web addresses, and of text that looks like one, in names (docs/protocol.md, section 6).

A name is reduced to a skeleton: first by the mapping that browsers apply to host names (UTS 46), then character by character to the
ASCII character that it can be confused with (UTS 39, confusables). The skeleton is compared with the public suffix list.
"""

from __future__ import annotations

import ipaddress
import json
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, lru_cache
from importlib.resources import files

import idna
import regex
from publicsuffixlist import PublicSuffixList

from .dots import with_dots

SPECIAL_SUFFIXES = frozenset({"alt", "example", "internal", "invalid", "local", "localhost", "onion", "test"})
"""Top-level domains that the public suffix list does not contain: RFC 6761, 6762, 7686 and 9476, and ICANN's ``internal``."""
ABBREVIATIONS = frozenset(
    [
        "Cia",
        "Co",
        "Dr",
        "Ft",
        "Inc",
        "Jr",
        "Ltd",
        "Ltda",
        "Mme",
        "Mr",
        "Mrs",
        "Ms",
        "Mt",
        "No",
        "Nr",
        "Prof",
        "Pty",
        "Pvt",
        "Rev",
        "San",
        "Sgt",
        "Sr",
        "Sra",
        "St",
        "Sta",
        "Ste",
        "Tic",
        "Vol",
    ]
)
"""Abbreviations that people write with a dot and without a space: ``Dr.House`` and ``Co.KG`` are names, not addresses."""

PRODUCTS = frozenset({"ADO.NET", "ASP.NET", "ML.NET", "VB.NET"})
"""Products that are named after a framework, .NET, and not after a web address."""

_NO_WORDS = frozenset({"com", "net", "org"})  # an abbreviation before one of these does not make it a name
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_UNSEEN = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")
_MARK = regex.compile(r"\p{M}")
_FORMATTED = regex.compile(
    r"[\p{Decomposition_Type=Super}\p{Decomposition_Type=Sub}\p{Decomposition_Type=Circle}\p{Decomposition_Type=Square}"
    r"\p{Decomposition_Type=Fraction}\p{Decomposition_Type=Compat}]"
)
"""Letters and digits in another form, such as ``²``, ``①`` and ``½``: they may be read as such, or as a sign after an address."""
_LIKE_BARS = frozenset("\u01c0\u01c1\u01c2\u01c3\u0298\ua7f7")
"""Letters that can be confused with signs: they are clicks, and U+A7F7 is an epigraphic letter."""
_INVERTED = {chr(first + at): chr(97 + at) for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)}
"""Letters in black circles and squares, and those of flags, which have no decomposition."""
_SMALL_CYRILLIC_CAPITALS = dict(zip("вкмнт", "bkmht", strict=True))
_DIRECTION_MARKS = "\u200e\u200f\u061c"
_LABEL = rf"[\p{{L}}\p{{M}}\p{{N}}{_DIRECTION_MARKS}-]+"
_RUN = regex.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_SYMBOL = regex.compile(r"[\p{S}\p{Pc}]")
_AS_IP = str.maketrans("lIoO\ua789\u02f8\u0589\u2236\u02d0", "1100:::::")
"""Characters that look like those of an IP address (UTS 39), each by the one that it looks like."""
_IPV4 = regex.compile(r"(?<![\p{L}\p{N}]|[\p{L}\p{N}][.-])[0-9lIoO]{1,3}(?:\.[0-9lIoO]{1,3}){3}(?![\p{L}\p{N}]|\.\p{N})")
_IPV6 = regex.compile(r"\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]")
# In scripts that do not separate words by spaces, a suffix ends where the script changes: ``bank.com登录``.
_ONE_SCRIPT = regex.compile(
    r"[\p{Script=Latin}0-9]+|\p{Script=Han}+|\p{Script=Hiragana}+|[^\p{Script=Latin}\p{Script=Han}\p{Script=Hiragana}]+"
)
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LATIN = regex.compile(r"\p{Script=Latin}")
_NOT_LATIN = regex.compile(r"[^\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]")
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


def names_another_domain(text: str, domain: str) -> bool:
    """Return whether a text contains a web address that is neither the application's domain nor a subdomain of it.

    :param domain: the application's domain, canonical.
    """
    found = addresses(_with_ascii(domain, text) if "xn--" in domain else text)
    return not all(f".{address}".endswith(f".{domain}") for address in found)


def _with_ascii(domain: str, text: str) -> str:
    """Return a text with the Unicode form of a domain replaced by its ASCII form. Text that only looks like the domain is kept."""
    return str(regex.sub(regex.escape(idna.decode(domain)), domain, text, flags=regex.IGNORECASE))


@lru_cache(maxsize=4096)
def addresses(text: str) -> tuple[str, ...]:
    """Return the parts of a text that look like web addresses, in lower case.

    With right-to-left characters between them, the labels may be displayed in reverse order, so this order is checked as well.
    """
    # ``_as_host`` is for suffixes that are not ASCII, such as ``рф``.
    readings = dict.fromkeys(reading for one in with_dots(text) for reading in (skeleton(one), skeleton(_as_printed(one)), _as_host(one)))
    names = tuple(found for reading in readings for labels in _runs(reading) if (found := _address(labels)))
    return names + tuple(found for reading in readings for found in _ip_addresses(reading))


def _ip_addresses(text: str) -> Iterator[str]:
    """Yield the IPv4 addresses, and the IPv6 addresses in brackets, in canonical form, also with letters for digits: ``192.l68.0.1``."""
    numbers = (found.translate(_AS_IP).split(".") for found in _IPV4.findall(text) if any(map(str.isdigit, found)))
    for found in (*(".".join(str(int(number)) for number in each) for each in numbers), *_IPV6.findall(text.translate(_AS_IP))):
        with suppress(ValueError):
            yield str(ipaddress.ip_address(found))


def _runs(text: str) -> Iterator[list[str]]:
    """Yield the labels of each run with dots. A symbol is read both as the end of a label and as a letter: ``Bank®.com``."""
    if "." not in text:
        return
    for run in dict.fromkeys([*_RUN.findall(text), *_RUN.findall(_SYMBOL.sub("x", text))]):
        labels = regex.sub(f"[{_DIRECTION_MARKS}]", "", run).split(".")
        yield labels
        if _RIGHT_TO_LEFT.search(run):
            yield labels[::-1]


def _address(labels: list[str]) -> str | None:
    """Return the longest address that the labels are or begin with, None without one.

    Examples are ``bank.com.login``, ``bank.com-login`` and ``bank.com登录``.
    """
    for at in range(len(labels) - 1, 0, -1):
        begins = labels[at].split("-")[0]
        for last in dict.fromkeys([labels[at], begins, *_ONE_SCRIPT.findall(begins)[:1]]):
            if _is_top_level(last.lower()) and _is_address(one := [*labels[:at], last]):
                return ".".join(one).lower()
    return None


def passes_for_latin(text: str) -> str | None:
    """Return the first word that mixes Latin letters with another script and looks entirely Latin, None without one.

    This is a mixed-script confusable (UTS 39, section 4) of an ASCII word. ``Яndex`` and ``λProlog`` are not.
    """
    words = (word for word in _WORD.findall(text) if not word.isascii() and _LATIN.search(word) and _NOT_LATIN.search(word))
    return next((word for word in words if skeleton(word).isascii()), None)


def skeleton(text: str) -> str:
    """Return the ASCII text that a text can be confused with; characters without an ASCII counterpart stay.

    Capital letters and direction marks are kept; combining marks and invisible characters are removed.
    """
    return text if text.isascii() else "".join(_similar().get(char) or _look(char, True) for char in text)


def _as_host(text: str) -> str:
    """Return a text as a browser maps a host name, except that capital letters and direction marks are kept."""
    return text if text.isascii() else unicodedata.normalize("NFC", "".join(_look(char, False) for char in text))


def _as_printed(text: str) -> str:
    """Return a text with small capitals as plain letters, and with spaces for characters that look like punctuation: ``bank.com²``."""
    return text if text.isascii() else "".join(_print(char) for char in text)


@lru_cache(maxsize=4096)
def _print(char: str) -> str:
    _, found, letter = unicodedata.name(char, "").partition("LATIN LETTER SMALL CAPITAL ")
    if found and len(letter) == 1:
        return letter.lower()
    return " " if _FORMATTED.match(char) or char in _signs() or char in _LIKE_BARS else _SMALL_CYRILLIC_CAPITALS.get(char, char)


@lru_cache(maxsize=4096)
def _look(char: str, to_ascii: bool) -> str:
    if char in _DIRECTION_MARKS:
        return char
    try:
        mapped = idna.uts46_remap(char, std3_rules=False)
    except idna.InvalidCodepoint:
        mapped = unicodedata.normalize("NFKC", char)
    found = str(_UNSEEN.sub("", mapped))
    if to_ascii:
        plain = _MARK.sub("", unicodedata.normalize("NFD", found))
        found = "".join(_similar().get(part, part) for part in plain)
    return found.upper() if char.isupper() else found


@lru_cache(maxsize=4096)
def _is_top_level(label: str) -> bool:
    return label in SPECIAL_SUFFIXES or (label != "" and _suffixes().publicsuffix(label) is not None)


def _is_address(labels: list[str]) -> bool:
    """Return whether labels form a domain that can be registered, a subdomain of one, or a suffix of several labels: ``gov.uk``."""
    *before, last = labels
    if ".".join(labels) in PRODUCTS:
        return False
    if ABBREVIATIONS.issuperset(before) and last[0].isupper() and last.lower() not in _NO_WORDS:
        return False
    name = ".".join(labels).lower()
    if labels[-1].lower() in SPECIAL_SUFFIXES or _suffixes().privatesuffix(name) is not None:
        return True
    return _suffixes().publicsuffix(name) == name and labels[0] not in ABBREVIATIONS


@lru_cache(maxsize=4096)
def site(domain: str) -> str:
    """Return the registrable domain of a domain: a public suffix and the label before it.

    A public suffix is its own, as is a loopback domain; below a suffix that is not on the list it is the last two labels.
    """
    if not domain or ":" in domain or _suffixes().publicsuffix(domain) == domain:
        return domain
    return _suffixes().privatesuffix(domain) or ".".join(domain.split(".")[-2:])


def load() -> None:
    """Load the lists, so that the first check of a name does not take a third of a second longer."""
    _suffixes()
    _similar()
    _signs()


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


@cache
def _similar() -> dict[str, str]:
    """Return a map from each character to the ASCII character that it can be confused with (UTS 39, confusables.txt).

    Only the data file of the package is read, because importing the package keeps all its data in memory.
    """
    return _INVERTED | {
        char: next(one for one in like if one in _PLAIN) for char, like in _confusables().items() if not _PLAIN.isdisjoint(like)
    }


@cache
def _signs() -> frozenset[str]:
    """Return the letters that can be confused only with ASCII punctuation: U+01C3 looks like an exclamation mark."""
    return frozenset(char for char, like in _confusables().items() if char.isalpha() and _PLAIN.isdisjoint(like))


def _confusables() -> dict[str, list[str]]:
    """Return a map from each character to the ASCII characters that it can be confused with, where there are any."""
    data = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text(encoding="utf-8"))
    found = {char: [one["c"] for one in entries if one["c"].isascii()] for char, entries in data.items() if not char.isascii()}
    return {char.strip("\u200e"): like for char, like in found.items() if like}
