"""The public suffix list, and labels that a person takes for a suffix of it (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

from functools import cache, lru_cache

import regex
from publicsuffixlist import PublicSuffixList

from .confusables import label_prefixes

_SPECIAL = frozenset({"alt", "example", "internal", "invalid", "local", "localhost", "onion", "test"})
"""Top-level domains that the public suffix list does not contain: RFC 6761, 6762, 7686 and 9476, and ICANN's ``internal``."""
KNOWN = frozenset({"app", "biz", "com", "dev", "edu", "gov", "info", "int", "mil", "net", "org", "xyz", "ком", "\u043e\u0440\u0433"})
"""Suffixes that everybody knows and that are no words, or are rather taken for a suffix than for a word."""

_LOOKALIKES = {f"{suffix[:at]}?{suffix[at + 1 :]}": suffix for suffix in KNOWN for at in range(len(suffix) - 1)} | {"сом": "com"}
"""Known suffixes by their look-alikes: each with a sign for a letter, and small Cyrillic letters that look like Latin capitals."""
_NO_LETTER = regex.compile(r"[^A-Za-z0-9.-]")
_TWO_LETTERS = regex.compile(r"[A-Za-z].*[A-Za-z]")
_AS_LETTERS = [str.maketrans(*pair) for pair in (("013457I", "oleastl"), ("013457I", "oieastl"), ("l", "i"))]
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


@lru_cache(maxsize=4096)
def top_level_domains(label: str) -> tuple[str, ...]:
    """Return the top-level domains that a label, or what it begins with, is or looks like."""
    return tuple(dict.fromkeys(found for reading in label_prefixes(label) for found in _top_levels(reading)))


@lru_cache(maxsize=4096)
def _top_levels(label: str) -> list[str]:
    """Return the top-level domains that a label is or looks like: itself, and ``com`` for ``corn``, ``c0m``, ``c☺m`` and ``сом``."""
    label = label.rstrip(".")  # an Arabic zero is read as a dot
    small = label.lower()
    return [*filter(_is_top_level, _spellings(label)), *filter(None, map(_LOOKALIKES.get, (small, _NO_LETTER.sub("?", small))))]


def _spellings(label: str) -> list[str]:
    """Return what a label looks like: two letters may be read as one, and in longer labels digits, ``I`` and ``l`` as others."""
    found = [label]
    if len(label) > 2 and _TWO_LETTERS.search(label):
        found += [label.translate(letters) for letters in _AS_LETTERS]
    found = [one.lower() for one in found]
    for pair, letter in _PAIRS:
        found += [one.replace(pair, letter) for one in found if pair in one]
    return found


@lru_cache(maxsize=4096)
def _is_top_level(label: str) -> bool:
    return label in _SPECIAL or _list().publicsuffix(label) is not None


@lru_cache(maxsize=4096)
def site(domain: str) -> str:
    """Return the registrable domain of a domain: a public suffix and the label before it.

    A public suffix is its own, as is a loopback domain; below a suffix that is not on the list it is the last two labels.
    """
    if not domain or ":" in domain or _list().publicsuffix(domain) == domain:
        return domain
    return _list().privatesuffix(domain) or ".".join(domain.split(".")[-2:])


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
