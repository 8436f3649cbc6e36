"""Signs that look like a dot between the labels of a web address (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

import unicodedata

import regex

_SLASHES = (
    r"\N{FRACTION SLASH}\N{DIVISION SLASH}\N{BIG SOLIDUS}\N{FULLWIDTH SOLIDUS}"
    r"\N{BOX DRAWINGS LIGHT DIAGONAL UPPER RIGHT TO LOWER LEFT}\N{MATHEMATICAL RISING DIAGONAL}"
)
_RAISED = (
    r"\N{BULLET}\N{BULLET OPERATOR}\N{DOT OPERATOR}\N{HYPHENATION POINT}\N{WORD SEPARATOR MIDDLE DOT}\N{RAISED DOT}\N{Z NOTATION SPOT}"
    r"\N{LATIN LETTER SINOLOGICAL DOT}\N{RUNIC SINGLE PUNCTUATION}\N{AEGEAN WORD SEPARATOR DOT}\N{CANADIAN SYLLABICS FINAL MIDDLE DOT}"
    r"\N{BRAILLE PATTERN DOTS-3}\N{BRAILLE PATTERN DOTS-6}\N{BRAILLE PATTERN DOTS-7}\N{BRAILLE PATTERN DOTS-8}"
)
# Nobody needs these instead of a slash or between words without spaces.
_SIGNS = regex.compile(
    rf"(?<=[\p{{Script=Latin}}\p{{Script=Greek}}\p{{Script=Cyrillic}}0-9])[{_SLASHES}{_RAISED}]\p{{M}}*(?=[\p{{L}}\p{{N}}])"
)

# These stand between words and in words of several languages, or are pictures. So what is around them decides.
_MIDDLE = (
    r"\N{MIDDLE DOT}\N{KATAKANA MIDDLE DOT}\N{HALFWIDTH KATAKANA MIDDLE DOT}\N{HANGUL LETTER ARAEA}\N{TIBETAN MARK INTERSYLLABIC TSHEG}"
    r"\N{TIBETAN MARK DELIMITER TSHEG BSTAR}\N{DEVANAGARI SIGN HIGH SPACING DOT}\N{CANADIAN SYLLABICS FULL STOP}\N{DOT ABOVE}"
    r"\N{RING POINT}\N{PHOENICIAN WORD SEPARATOR}\N{CJK UNIFIED IDEOGRAPH-4E36}\N{KANGXI RADICAL DOT}"
    r"\N{BLACK CIRCLE}\N{WHITE BULLET}\N{INVERSE BULLET}\N{BLACK LARGE CIRCLE}\N{MEDIUM BLACK CIRCLE}\N{BLACK CIRCLE FOR RECORD}"
    r"\N{BLACK SMALL SQUARE}\N{BLACK VERY SMALL SQUARE}\N{BLACK SLIGHTLY SMALL CIRCLE}\N{WHITE SMALL SQUARE}\N{BLACK MEDIUM SMALL SQUARE}"
    r"\N{BLACK SQUARE}\N{MEDIUM WHITE CIRCLE}\N{FISHEYE}\N{RING OPERATOR}\N{STENOGRAPHIC FULL STOP}\N{MODIFIER LETTER LOW RING}"
    r"\u0887\u1390\N{ARABIC SYMBOL DOT BELOW}\N{ARABIC FULL STOP}\N{BRAILLE PATTERN DOTS-2}\N{BRAILLE PATTERN DOTS-5}"
)
BETWEEN_WORDS = _MIDDLE + _RAISED
_ASIAN = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"
# Ends of words that are also top-level domains: Catalan ones after l·l, and French, German and Spanish ones that name all genders, each
# after the letters that it follows.
_ENDS = r"""
    (?<=l·)(?:l[aà]|lat|lí) | (?<=\bil·)legal
    | (?<=(?:[éidntu]|eur|oir|air|ois|[çdglnrt]ais|gnol|eul)·)es | (?<=(?:eu[rx]|oux)·)se | (?<=[eiu]f·)ve | (?<=n·)ne | (?<=eur·)ice
    | (?<=(?:er|or|eur|[aeu]nt|und|ist|log|leg|ef)·)in
    | (?<=os?·)as
"""
_ENGLISH = r"(?!(?:com|net|org)\b) (?-i:[A-Z][A-Za-z]*)\b"
_BETWEEN_LABELS = regex.compile(
    rf"""(?xi)
    (?<=[\p{{L}}\p{{M}}\p{{N}}]) [{BETWEEN_WORDS}] \p{{M}}* (?=[\p{{L}}\p{{N}}]) (?![{_ASIAN}])
    (?! (?:{_ENDS})\b | (?<=[{_ASIAN}].)(?:{_ENGLISH}) )
    """
)

# Full stops between two sentences of a script that writes no space after them; the second may begin with an English word.
_BEGINS = rf"(?: [{_ASIAN}] | (?!(?i:com|net|org)\b) [A-Z][A-Za-z]{{2,}}\b )"
_FULL_STOP = regex.compile(
    rf"""(?x)
      (?<=[{_ASIAN}]) [\N{{IDEOGRAPHIC FULL STOP}}\N{{HALFWIDTH IDEOGRAPHIC FULL STOP}}] (?={_BEGINS})
    | (?<=\p{{Script=Arabic}}) \N{{ARABIC FULL STOP}} (?=\p{{Script=Arabic}})
    """
)


def with_dots(text: str) -> list[str]:
    """Return a text, and what it reads as with dots for the signs that stand where those of an address would.

    ``Col·legi`` and ``étudiant·es`` have no such sign, nor has an English word in an Asian name, such as ``データ・AI``. The full stop of
    ``你好。世界`` is none; with other Latin letters beside it, it is a dot, as browsers take it for one.
    """
    if text.isascii():
        return [text]
    text = str(_FULL_STOP.sub(" ", text))
    plain = unicodedata.normalize("NFKC", text)  # for mathematical letters, of which none has a script
    dotted = [_BETWEEN_LABELS.sub(".", _SIGNS.sub(".", one)) for one in (text, plain)]
    return list(dict.fromkeys([text, *(one for one in dotted if one not in (text, plain))]))
