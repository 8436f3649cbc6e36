"""Text that people read and others wrote: which characters it may hold, and in which form it is kept (docs/protocol.md, section 6)."""

from __future__ import annotations

import unicodedata

import regex

from .lookalikes import passes_for_latin

MOST_LINES = 10
MOST_MARKS = 4
"""Nonspacing marks in a row: UTS 39, section 5.4."""

_JOINING = (
    r"\p{Arabic}\p{Syriac}\p{Mandaic}\p{Mongolian}\p{Nko}\p{Phags_Pa}\p{Adlam}\p{Hanifi_Rohingya}\p{Sogdian}"
    r"\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Chakma}"
    r"\p{Tibetan}\p{Myanmar}\p{Khmer}\p{Thai}\p{Lao}\p{Balinese}\p{Javanese}\p{Sundanese}\p{Tai_Tham}"
)
_PICTURE = r"\p{Extended_Pictographic}[\p{Emoji_Modifier}\ufe0f]*"
_FLAG = r"\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"  # of a part of a country: UTS 51, annex C
_NAME = regex.compile(
    rf"""(?xV1:
      {_FLAG}
    | {_PICTURE} (?: \u200d {_PICTURE} )+                                # families, professions: UTS 51
    | [\p{{Emoji}}] [\ufe0e\ufe0f]
    | \p{{Script=Han}} [\ufe00-\ufe02\U000e0100-\U000e01ef]              # variants of ideographs: UTS 37
    | (?=\p{{L}}) \p{{Script=Mongolian}} [\u180b-\u180f]
    | (?=\p{{L}}) [{_JOINING}] \p{{M}}* [\u200c\u200d]                    # UAX 31, section 2.3.1, whatever follows
    | [\p{{Extended_Pictographic}}\u200e\u200f\u061c\ ]
    | [^ \p{{Default_Ignorable_Code_Point}} \p{{C}} \p{{Z}} \u2800 \ufffc \U00013441\U00013442 \U0001d159 ]
    | \p{{Prepended_Concatenation_Mark}}
    )*+"""
)
_PROSE = regex.compile(rf"(?:{_FLAG}|[^\p{{Cs}}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\U000e0000-\U000e007f])*+")
_VISIBLE = regex.compile(r"[\p{L}\p{N}\p{P}\p{S}]")
_MARKS = regex.compile(rf"\A\p{{M}}|[\p{{Mn}}\p{{Me}}]{{{MOST_MARKS + 1}}}")
_DIRECTION_MARK = regex.compile(r"[\u200e\u200f\u061c]")
_RIGHT_TO_LEFT = regex.compile(r"(?![\u200f\u061c])[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_BIDI = regex.compile(r"[\u202a-\u202c\u2066-\u2069]")
_CLOSES = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}


def name(text: str) -> str:
    """Return a name as it is kept: composed (NFC), with single plain spaces inside and none around it.

    :raises ValueError: it holds a character that cannot be seen or that turns what is around it, it shows nothing, it carries too many
        marks, or a word of it passes for a Latin one.
    """
    if text.isascii() and text.isprintable():
        kept = " ".join(text.split())
    else:
        kept = str(regex.sub(r"\p{Zs}+", " ", unicodedata.normalize("NFC", text))).strip(" ")
        _check_name(kept)
    if not _VISIBLE.search(kept):
        raise ValueError("one of them visible")
    return kept


def _check_name(text: str) -> None:
    _check_characters(_NAME, text)
    if _MARKS.search(text):
        raise ValueError(f"with up to {MOST_MARKS} combining marks in a row, after a letter")
    mark = _DIRECTION_MARK.search(text)
    if mark and not _RIGHT_TO_LEFT.search(text):
        raise ValueError(f"without {_code(mark[0])}, which is for text that runs from right to left")
    if word := passes_for_latin(text):
        raise ValueError(f"with each word in one script, unlike {word!r}")


def description(text: str) -> str:
    """Return a description as it is kept: lines that end in a line feed, without space at their ends and around it all.

    :raises ValueError: as ``check_prose``, or it has too many lines.
    """
    lines = [line.strip() for line in regex.split(r"\r\n?|\n", unicodedata.normalize("NFC", text).strip())]
    if len(lines) > MOST_LINES:
        raise ValueError(f"in up to {MOST_LINES} lines")
    kept = "\n".join(lines)
    check_prose(kept)
    return kept


def check_prose(text: str) -> None:
    """Check a message or description. Most characters that cannot be seen are harmless there, and people paste them unawares.

    :raises ValueError: it holds a control character, an override of direction, or a tag; or an embedding or isolate that does not end in
        its line.
    """
    if text.isascii() and text.isprintable():
        return
    _check_characters(_PROSE, text)
    if not all(map(_balanced, text.splitlines())):
        raise ValueError("with each change of direction ended in the same line")


def _check_characters(allowed: regex.Pattern[str], text: str) -> None:
    end = allowed.match(text).end()
    if end < len(text):
        raise ValueError(f"without {_code(text[end])}, which cannot be seen or is not text")


def _balanced(line: str) -> bool:
    expected: list[str] = []
    for char in _BIDI.findall(line):
        if char in _CLOSES:
            expected.append(_CLOSES[char])
        elif not expected or expected.pop() != char:
            return False
    return not expected


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"
