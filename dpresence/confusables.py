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
from string import punctuation
from typing import NamedTuple

import idna
import regex

from .dots import with_dots
from .letters import as_letters

ANY_LETTER = "\ue000"
"""A character of no text, for one that may be any letter."""
CUT = "\ue001"
"""A character of no text."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_MAX_EXPANSION = 4
_UNSEEN = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")
_PUNCTUATION = frozenset(punctuation)
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
_LATIN_NAME = regex.compile(r"LATIN (?:(?:SMALL|CAPITAL) )?LETTER (?:[A-Z-]{2,} )*([A-Z])(?: |$)")
"""Unicode name of a variant of one letter: D WITH STROKE, OPEN E, TURNED M, SMALL CAPITAL C."""
_SCRIPT = regex.compile(r"(?P<Latin>[\p{Script=Latin}\p{N}])|(?P<Han>\p{Script=Han})|(?P<Hiragana>\p{Script=Hiragana})|(?P<other>\p{L})|")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LABEL = regex.compile(r"[^\s.]+")
_LATIN = regex.compile(r"\p{Script=Latin}")
_WITH_GREEK = regex.compile(r"[A-Z]+[\u03b1-\u03c9]")
_NOT_LATIN = regex.compile(r"[^\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]")


def readings(text: str) -> Iterator[str]:
    """Yield what a text can be read as. Each reading has a dot for every sign that counts as one, and ``CUT`` where an address may end."""
    if text.isascii():
        yield text
        return
    text = "".join(map(_short, text))
    plain = str(_LABEL.sub(_plain_label, text))
    as_written = with_dots(text)
    yield from (_read(one, True) for one in dict.fromkeys([*as_written, *with_dots(as_letters(plain))]))
    yield from (_read(one, False) for one in as_written)  # for suffixes that are not ASCII, such as ``рф``


def passes_for_latin(text: str) -> str | None:
    """Return the first word that mixes Latin letters with another script and looks entirely Latin, None without one.

    This is a mixed-script confusable (UTS 39, section 4) of an ASCII word. ``Яndex``, ``λProlog`` and ``TNF`` with a small alpha are not.
    """
    words = (word for word in _WORD.findall(text) if not word.isascii() and _LATIN.search(word) and _NOT_LATIN.search(word))
    words = (word for word in words if not _WITH_GREEK.fullmatch(word))
    return next((word for word in words if skeleton(word).isascii()), None)


def skeleton(text: str) -> str:
    """Return the ASCII text that a text can be confused with; characters without an ASCII counterpart stay.

    Capital letters are kept; combining marks and invisible characters are removed.
    """
    return text if text.isascii() else "".join(_look(char, True) for char in text)


def load() -> None:
    """Load the data of Unicode, so that the first check of a name does not take a third of a second longer."""
    _tables()


def _read(text: str, to_ascii: bool) -> str:
    """Return what a text looks like, or as a browser maps a host name, with ``CUT`` where an address may end.

    It ends where the script changes, because some do not separate words by spaces (``bank.com登录``), or the form: ``bank.com²``.
    """
    found, last = "", ""
    for char in text:
        kind = _kind(char)
        found += (CUT if kind and last and kind != last else "") + _look(char, to_ascii)
        last = last if kind is None else kind
    return found if to_ascii else unicodedata.normalize("NFC", found)


@lru_cache(maxsize=4096)
def _kind(char: str) -> str | None:
    """Return the script or form of a character, "" for one of no word, None for one that belongs to the one before it."""
    if _FORMATTED.match(char) or char in _tables().signs or char in _LIKE_BARS or char in _INVERTED:
        return "form"
    if _MARK.match(char) or _UNSEEN.match(char):
        return None
    return _SCRIPT.match(char).lastgroup or ""


@lru_cache(maxsize=4096)
def _short(char: str) -> str:
    """Return a character, or one of no text for one that stands for many, as does U+FDFA: all readings of it would take long."""
    return char if len(unicodedata.normalize("NFKC", char)) <= _MAX_EXPANSION else ANY_LETTER


def _plain_label(label: regex.Match[str]) -> str:
    """Return a label with plain letters if any of it is Latin, because others are words of their own script."""
    return "".join(map(_plain_letter, label[0])) if _LATIN.search(label[0]) else label[0]


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
    if to_ascii and char in _tables().similar:
        return _tables().similar[char]
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
    """Characters that can be confused with others, by UTS 39 (confusables.txt).

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
    signs = frozenset(char for char, like in others.items() if char.isalpha() and not _PUNCTUATION.isdisjoint(like))
    return _Tables(_INVERTED | similar, with_mark, signs)


def _letters(text: str) -> str | None:
    """Return the ASCII letters of which a text consists beside marks, None if there is anything else in it."""
    plain = str(_MARK.sub("", unicodedata.normalize("NFD", text)))
    return plain if plain.isascii() and plain.isalpha() else None
