"""Readings of a text: what a person, or a browser, may take its characters for (docs/protocol.md, section 6, Names and prose).

A skeleton is made by the mapping that browsers apply to host names (UTS 46), and then character by character: each becomes the ASCII
character that it can be confused with (UTS 39, confusables).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

import idna
import regex

from .dots import with_dots
from .letters import as_letters

DIRECTION_MARKS = "\u200e\u200f\u061c"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_MAX_EXPANSION = 4
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
_LATIN_NAME = regex.compile(r"LATIN (?:(?:SMALL|CAPITAL) )?LETTER (?:[A-Z-]{2,} )*([A-Z])(?: |$)")
"""Unicode name of a variant of one letter: D WITH STROKE, OPEN E, TURNED M, SMALL CAPITAL C."""
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LATIN = regex.compile(r"\p{Script=Latin}")
_NOT_LATIN = regex.compile(r"[^\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]")


def readings(text: str) -> Iterator[str]:
    """Yield what a text can be read as. Each reading has a dot for every sign that counts as one."""
    if text.isascii():
        yield text
        return
    text = "".join(map(_short, text))
    plain = "".join(map(_plain_letter, text))
    for one in dict.fromkeys(dotted for variant in dict.fromkeys((text, as_letters(plain))) for dotted in with_dots(variant)):
        yield skeleton(one)
        yield skeleton(_as_printed(one))
        yield _as_host(one)  # for suffixes that are not ASCII, such as ``рф``


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
    return text if text.isascii() else "".join(_tables().similar.get(char) or _look(char, True) for char in text)


def load() -> None:
    """Load the data of Unicode, so that the first check of a name does not take a third of a second longer."""
    _tables()


def _as_host(text: str) -> str:
    """Return a text as a browser maps a host name, except that capital letters and direction marks are kept."""
    return text if text.isascii() else unicodedata.normalize("NFC", "".join(_look(char, False) for char in text))


def _as_printed(text: str) -> str:
    """Return a text with spaces for characters that look like punctuation, and small capitals as plain letters: ``bank.com²``."""
    return text if text.isascii() else "".join(_print(char) for char in text)


@lru_cache(maxsize=4096)
def _short(char: str) -> str:
    """Return a character, or one of no text for one that stands for many, as does U+FDFA: all readings of it would take long."""
    return char if len(unicodedata.normalize("NFKC", char)) <= _MAX_EXPANSION else "\ue000"


@lru_cache(maxsize=4096)
def _print(char: str) -> str:
    _, found, letter = unicodedata.name(char, "").partition("LATIN LETTER SMALL CAPITAL ")
    if found and len(letter) == 1:
        return letter.lower()
    return " " if _FORMATTED.match(char) or char in _tables().signs or char in _LIKE_BARS else _SMALL_CYRILLIC_CAPITALS.get(char, char)


@lru_cache(maxsize=4096)
def _plain_letter(char: str) -> str:
    """Return a letter without what makes it another one: a stroke, a hook, an overlay, a turn. ``đ``, ``ɵ`` and ``ɔ`` are some.

    Accents are kept: a skeleton has none, and what is a dot depends on them.
    """
    if unicodedata.normalize("NFD", char) != char or char.isascii():
        return char
    if named := _LATIN_NAME.match(unicodedata.name(char, "")):
        return str(named[1] if char.isupper() else named[1].lower())
    return _tables().with_mark.get(char, char)


@lru_cache(maxsize=4096)
def _look(char: str, to_ascii: bool) -> str:
    if char in DIRECTION_MARKS:
        return char
    try:
        mapped = idna.uts46_remap(char, std3_rules=False)
    except idna.InvalidCodepoint:
        mapped = unicodedata.normalize("NFKC", char)
    found = str(_UNSEEN.sub("", mapped))
    if to_ascii:
        plain = _MARK.sub("", unicodedata.normalize("NFD", found))
        found = "".join(_tables().similar.get(part, part) for part in plain)
    return found.upper() if char.isupper() else found


class _Tables(NamedTuple):
    """What characters can be confused with by UTS 39 (confusables.txt).

    :param similar: each character by the ASCII character that it can be confused with.
    :param with_mark: each other one by the ASCII letters that, with marks, can be confused with it: ``θ``, ``¢``, ``œ``.
    :param signs: the letters that can be confused only with ASCII punctuation: U+01C3 looks like an exclamation mark.
    """

    similar: dict[str, str]
    with_mark: dict[str, str]
    signs: frozenset[str]


@cache
def _tables() -> _Tables:
    """Return the tables. Only the data file of the package is read, because importing the package keeps all its data in memory."""
    data = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text(encoding="utf-8"))
    likes = {char.strip("\u200e"): [one["c"] for one in entries] for char, entries in data.items() if not char.isascii()}
    similar = {char: found for char, like in likes.items() if (found := next((one for one in like if one in _PLAIN), None))}
    others = {char: like for char, like in likes.items() if char not in similar and not _MARK.match(char)}
    with_mark = {char: found for char, like in others.items() if (found := next(filter(None, map(_letters, like)), None))}
    signs = frozenset(char for char, like in others.items() if char.isalpha() and any(map(str.isascii, like)))
    return _Tables(_INVERTED | similar, with_mark, signs)


def _letters(text: str) -> str | None:
    """Return the ASCII letters of which a text consists beside marks, None if there is anything else in it."""
    plain = str(_MARK.sub("", unicodedata.normalize("NFD", text)))
    return plain if plain.isascii() and plain.isalpha() else None
