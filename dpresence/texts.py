"""Validation and normalisation of text that users write and other users read (docs/protocol.md, section 6)."""

from __future__ import annotations

import unicodedata

import regex

from .confusables import passes_for_latin

MAX_LINES = 10
MAX_MARKS = 4
"""Maximum number of nonspacing marks in a row: UTS 39, section 5.4."""

_JOINING = (
    r"\p{Arabic}\p{Syriac}\p{Mandaic}\p{Mongolian}\p{Nko}\p{Phags_Pa}\p{Adlam}\p{Hanifi_Rohingya}\p{Sogdian}"
    r"\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Chakma}"
    r"\p{Tibetan}\p{Myanmar}\p{Khmer}\p{Thai}\p{Lao}\p{Balinese}\p{Javanese}\p{Sundanese}\p{Tai_Tham}"
)
_PICTURE = r"\p{Extended_Pictographic}[\p{Emoji_Modifier}\ufe0f]*"
_FLAG = r"\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"  # flag of a region: UTS 51, annex C
_NAME = regex.compile(
    rf"""(?xV1:
      {_FLAG}
    | {_PICTURE} (?: \u200d {_PICTURE} )+                                # emoji sequences: UTS 51
    | [\p{{Emoji}}] [\ufe0e\ufe0f]
    | \p{{Script=Han}} [\ufe00-\ufe02\U000e0100-\U000e01ef]              # ideographic variants: UTS 37
    | (?=\p{{L}}) \p{{Script=Mongolian}} [\u180b-\u180f]
    | (?=\p{{L}}) [{_JOINING}] \p{{M}}* [\u200c\u200d]                    # UAX 31, section 2.3.1, without its condition on the next letter
    | [\p{{Extended_Pictographic}}\u200e\u200f\u061c\ ]
    | [^ \p{{Default_Ignorable_Code_Point}} \p{{C}} \p{{Z}} \u2800 \ufffc \U00013441\U00013442 \U0001d159 ]
    | \p{{Prepended_Concatenation_Mark}}
    )*+"""
)
_PROSE = regex.compile(rf"(?:{_FLAG}|[^\p{{Cs}}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\U000e0000-\U000e007f])*+")
_BREAKS = dict.fromkeys(map(ord, "\u00ad\u200b"))
"""Soft hyphen and zero width space: where a line may end, often pasted from web pages."""
_VISIBLE = regex.compile(r"[\p{L}\p{N}\p{P}\p{S}]")
_TOO_MANY_MARKS = regex.compile(rf"(?:[\p{{Mn}}\p{{Me}}]\p{{Cf}}*+){{{MAX_MARKS + 1}}}")
_MARK_WITHOUT_LETTER = regex.compile(r"(?V1)(?:\A|[\p{Z}\p{P}])[\p{M}--\p{Variation_Selector}]")
_DIRECTION_MARK = regex.compile(r"[\u200e\u200f\u061c]")
_RIGHT_TO_LEFT = regex.compile(r"(?![\u200f\u061c])[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_BIDI = regex.compile(r"[\u202a-\u202c\u2066-\u2069]")
_CLOSES = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}


def name(text: str) -> str:
    """Return a name in its stored form: NFC, stripped, with every run of spaces as a single plain space, and without ``_BREAKS``.

    :raises ValueError: the name contains an invisible character or one that changes the direction of text, has no visible character,
        has too many combining marks, or contains a word that looks Latin and is not.
    """
    if text.isascii() and text.isprintable():
        stored = " ".join(text.split())
    else:
        stored = str(regex.sub(r"\p{Zs}+", " ", unicodedata.normalize("NFC", text.translate(_BREAKS)))).strip(" ")
        _check_name(stored)
    if not _VISIBLE.search(stored):
        raise ValueError("one of them visible")
    return stored


def _check_name(text: str) -> None:
    _check_characters(_NAME, text)
    _check_marks(text)
    if _MARK_WITHOUT_LETTER.search(text):
        raise ValueError("with each combining mark after a letter")
    mark = _DIRECTION_MARK.search(text)
    if mark and not _RIGHT_TO_LEFT.search(text):
        raise ValueError(f"without {_code(mark[0])}, which is for text that runs from right to left")
    if word := passes_for_latin(text):
        raise ValueError(f"with each word in one script, unlike {word!r}")


def description(text: str) -> str:
    """Return a description in its stored form: NFC, stripped lines that are separated by line feeds.

    :raises ValueError: see ``check_prose``.
    """
    lines = [line.strip() for line in regex.split(r"\r\n?|\n", unicodedata.normalize("NFC", text).strip())]
    stored = "\n".join(lines)
    check_prose(stored)
    return stored


def check_prose(text: str) -> None:
    """Check a message or description. Most invisible characters are allowed: they are harmless here and often pasted unintentionally.

    :raises ValueError: the text contains a control character, a direction override or a tag character, too many lines, too many
        combining marks in a row, or a bidirectional embedding or isolate that is not closed in the same line.
    """
    if text.isascii() and text.isprintable():
        return
    _check_characters(_PROSE, text)
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise ValueError(f"in up to {MAX_LINES} lines")
    _check_marks(text)
    if not all(map(_balanced, lines)):
        raise ValueError("with each change of direction ended in the same line")


def _check_marks(text: str) -> None:
    if _TOO_MANY_MARKS.search(text):
        raise ValueError(f"with up to {MAX_MARKS} combining marks in a row")


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
