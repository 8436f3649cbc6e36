"""The public suffix list, and labels that a person takes for a suffix of it (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import accumulate

import regex
from publicsuffixlist import PublicSuffixList

from .confusables import CUT

_LONGEST = 48
"""Characters of a label in which a suffix ends, with those that show where."""
SPECIAL = frozenset({"alt", "example", "internal", "invalid", "local", "localhost", "onion", "test"})
"""Top-level domains that the public suffix list does not contain: RFC 6761, 6762, 7686 and 9476, and ICANN's ``internal``."""
KNOWN = frozenset({"app", "biz", "com", "dev", "edu", "gov", "info", "int", "mil", "net", "org", "xyz", "ком", "\u043e\u0440\u0433"})
"""Suffixes that everybody knows and that are no words, or are rather taken for a suffix than for a word."""
OF_HOSTS = frozenset({"app", "dev"})
"""Known suffixes that hosts below a domain have as names as well: ``my.app.example.org``."""

_INCOMPLETE = {f"{suffix[:at]}?{suffix[at + 1 :]}": suffix for suffix in KNOWN for at in range(len(suffix) - 1)}
_FOREIGN = regex.compile(r"[^\x00-\x7f]")
_TWO_LETTERS = regex.compile(r"[A-Za-z].*[A-Za-z]")
_DIGITS = [str.maketrans("013457I", one) for one in ("oleastl", "oieastl")]
_L_AS_I = str.maketrans("l", "i")
_SMALL_CAPITALS = str.maketrans("вкмнт", "bkmht")
"""Small Cyrillic letters that look like Latin capitals."""
_PAIRS = (("rn", "m"), ("vv", "w"), ("VV", "W"), ("cl", "d"))


@lru_cache(maxsize=4096)
def endings(label: str) -> tuple[str, ...]:
    """Return the top-level domains that a label, or what it begins with, is or looks like.

    :param label: with ``CUT`` where the script or the form of its characters changes.
    """
    begins = label.split("-", maxsplit=1)[0]
    parts = begins[:_LONGEST].split(CUT)[:-1]
    found = dict.fromkeys([label.replace(CUT, ""), begins.replace(CUT, ""), *accumulate(parts)])
    return tuple(dict.fromkeys(suffix for last in found for suffix in top_levels(last)))


def top_levels(label: str) -> tuple[str, ...]:
    """Return the top-level domains that a label is or looks like, in lower case: itself, ``com`` for ``corn``, ``c0m`` and ``c☺m``."""
    spellings = _spellings(label) if label.isascii() else [label, _completed(label), _capitals(label)]
    return tuple(dict.fromkeys(one for spelling in spellings if _is_top_level(one := spelling.lower())))


def _spellings(label: str) -> list[str]:
    """Return what an ASCII label looks like: two letters may be read as one, and in longer labels digits, ``I`` and ``l`` as others."""
    found = [label]
    if len(label) > 2 and _TWO_LETTERS.search(label):
        found += [label.translate(digits) for digits in _DIGITS] + [label.translate(_L_AS_I)]
    for pair, letter in _PAIRS:
        found += [one.replace(pair, letter) for one in found if pair in one]
    return found


def _completed(label: str) -> str:
    """Return the known suffix of which a label has all letters but one, which is a sign or a foreign letter; an empty text without one."""
    return _INCOMPLETE.get(_FOREIGN.sub("?", label.lower()), "")


def _capitals(label: str) -> str:
    """Return the known suffix as which a label with small Cyrillic letters may be read: ``сом``; an empty text if it is none."""
    read = label.lower().translate(_SMALL_CAPITALS)
    return read if read in KNOWN else ""


@lru_cache(maxsize=4096)
def _is_top_level(label: str) -> bool:
    return label in SPECIAL or (label != "" and _list().publicsuffix(label) is not None)


def is_registrable(name: str) -> bool:
    """Return whether a domain in lower case is a suffix with at least one label before it."""
    return name.rpartition(".")[2] in SPECIAL or _list().privatesuffix(name) is not None


def is_suffix(name: str) -> bool:
    """Return whether a domain in lower case is a public suffix: ``gov.uk``."""
    return bool(_list().publicsuffix(name) == name)


@lru_cache(maxsize=4096)
def site(domain: str) -> str:
    """Return the registrable domain of a domain: a public suffix and the label before it.

    A public suffix is its own, as is a loopback domain; below a suffix that is not on the list it is the last two labels.
    """
    if not domain or ":" in domain or is_suffix(domain):
        return domain
    return _list().privatesuffix(domain) or ".".join(domain.split(".")[-2:])


def load() -> None:
    """Load the list, so that the first check of a name does not take longer."""
    _list()


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
