"""Readings of the characters of a name, by persons and browsers (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate

import idna
import regex

_UNSEEN = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")
_MAX_EXPANSION = 4
_DOTS = regex.compile(r"[lL]?[.·]+")
_BETWEEN_LETTERS = r"[\x00-\x7f\p{Pd}\p{Pc}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Sc}、﹑،؛՝፣´′×\uff01-\uff0e\uff10-\uff60]"
"""Signs that people write between letters: dashes, brackets, quotation marks, commas, currencies, full-width ASCII."""
_PICTURES = r"[\p{Extended_Pictographic}\p{InArrows}\p{InDingbats}\p{InMiscellaneous_Symbols}]"
_LIKE_DOTS = r"[⚪⚫⚬⏺▪▫◾◽⒈-⒛🄀٠۰ꓸꓺꓻ\U0001d16dㆍ\u119eॱꞏᐧ丶ࢇᐤᣞᣟº\u02cc-\u02cf\u02d1]"
"""Pictures, numbers and letters that look like a dot."""
_SIGN = rf"(?V1:[[\p{{P}}\p{{S}}]--{_BETWEEN_LETTERS}--{_PICTURES}||{_LIKE_DOTS}])"
"""A sign that is read as a dot between letters."""
_SPECK = r"(?V1:[\"'`*,;:!?….\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{So}])"
"""A sign that belongs to a dot beside it: quotation marks, commas, brackets, pictures, further dots."""
# Characters that people write for Latin letters because of their shape. UTS 39 compares few of them with Latin letters.
_SHAPES = (
    "a卂厶ムค₳ДΔΛ b乃阝๒฿ßвѢѣҌҍ c匚ᄃㄷᑕςɕ⊂⊏©℃☾¢₡Ҫҫ d刀ᗪ∂ժ₫Ð e乇モ巨ㅌᗴЄєэε∈∑Σξ€ҿҾ f千下ᖴ₣ g₲Ꮆᘜ h卄廾んђћҢ i工エ丨ㅣ jﾌ亅 "
    "k₭ҜкҚқҞҟ l乚ㄥレしㄴᄂᒪ£ m爪瓜从巾冊๓мӍӎ₥ n几冂凢ภ兀пПиИŋ∩₦ηнᑎ o口回〇囗ㄖロㅇㅁᄋ๏๐фФΘθѲѳӨө°○◯◎⊙☉⊕⊗⊘∅●◉⚪⚫⭕⊖⊝ⴱᎾᏫꮎꮻ p卩尸户ア₱ק qɊ "
    "r尺гГЯя®ғ s丂弓§ร t十七卞匕ㄒ丁ナ†₮✝тㅜτ u凵ㄩцЦยᏌꮜ v√ w山ωฬшШщ₩ѽ x乂メㄨжχҲҳ yㄚ丫ץ¥чУуҰұ z乙"
)
_LETTERS = {shape: shapes[0] for shapes in _SHAPES.split() for shape in shapes[1:]}
_ASIAN = r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}ー]"
_OTHER = r"[^\p{Latin}\p{Greek}\p{Cyrillic}\P{L}]"
# Ends of words after a middle dot that are also top-level domains: Catalan ones after l·l, and French, German and Spanish ones that name
# all genders, each after the letters that it follows.
_WORD_ENDINGS = r"""
    (?<=l·)(?:l[aà]|lat|lí) | (?<=\bil·)legal
    | (?<=(?:[éidntu]|eur|oir|air|ois|[çdglnrt]ais|gnol|eul)·)es | (?<=(?:eu[rx]|oux)·)se | (?<=[eiu]f·)ve | (?<=n·)ne | (?<=eur·)ice
    | (?<=(?:er|or|eur|[aeu]nt|und|ist|log|leg|ef)·)in
    | (?<=os?·)as
"""
_BETWEEN_LABELS = regex.compile(
    rf"""(?xi)
    # a sign between a letter or digit, and a letter with another character after it, or a digit
    (?<=[\p{{L}}\p{{M}}\p{{N}}{"".join(_LETTERS)}]) {_SIGN} \p{{M}}* (?=[\p{{L}}{"".join(_LETTERS)}]\S|\p{{N}})
    (?! # but not between two Asian letters, or a middle dot before one, if no Latin letter follows: 将棋•囲碁, Web・デザイン
        (?<={_ASIAN}.|[·・･]) {_ASIAN}{{1,48}}+(?!\p{{Latin}})
        # nor a mark that ends sentences, between two letters of other scripts: शुभ।भारत
      | (?<={_OTHER}[؟۔।॥։።၊။]) {_OTHER}{{1,48}}+(?!\p{{Latin}})
        # nor between an Asian letter and a capitalised word: データ・AI
      | (?<={_ASIAN}[^。｡]|{_ASIAN}.(?=\w{{3}})) (?!(?:com|net|org)\b) (?-i:[A-Z][A-Za-z]*)\b
        # nor a slash after an Asian letter: 写真／photo
      | (?<={_ASIAN}／) \w
        # nor the middle dot before the ending of a word
      | (?:{_WORD_ENDINGS})\b )
    """
)
_SPECKED_DOTS = regex.compile(rf"(?<=[\p{{L}}\p{{M}}\p{{N}}])(?={_SPECK}*?(?:\.|{_SIGN}))(?:{_SPECK}|{_SIGN}){{2,}}+(?=[\p{{L}}\p{{N}}])")
"""Several signs between a letter or digit and another one, of which one is a dot or is read as one: ``..``, ``'.``, ``[.]``."""

_SHAPED = regex.compile(rf"(?:[^\p{{M}}]\p{{M}}*){{3}}|(?=.*[\p{{Latin}}\p{{S}}])(?:(?!{_ASIAN})[^\p{{M}}]\p{{M}}*){{2}}")
"""Text in which shapes are read: two Asian letters may be a word."""
_LATIN = regex.compile(r"\p{Latin}")
_ALPHABET = regex.compile(r"[\p{Greek}\p{Cyrillic}]")
_LATIN_NAME = regex.compile(r"LATIN (?:(?:SMALL|CAPITAL) )?LETTER (?:[A-Z-]{2,} )*([A-Z])(?: |$)")
"""Unicode name of a variant of one letter: D WITH STROKE, OPEN E, TURNED M, SMALL CAPITAL C."""
_FRAMED = {chr(first + at): chr(97 + at) for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)}
"""Letters in black circles and squares, and those of flags, which have no decomposition."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")

_LONGEST = 32
"""Characters of a label in which a suffix ends."""
_FORM = (
    r"[[\p{NFKC_QC=No}\p{Lm}[\p{Latin}&&\p{Lo}]ʘɁꞋꞌ]"
    r"--[\p{Decomposition_Type=Font}\p{Decomposition_Type=Wide}\p{Decomposition_Type=Narrow}]]"
)
"""Letters and digits in another form (``²``, ``①``) and letters like signs (``ǃ``, ``ʼ``), which may stand after an address."""
_SCRIPTS = [
    r"\p{Latin}[\p{N}--\p{Bidi_Class=AN}]",
    *(rf"\p{{Script={script}}}" for script in ("Greek", "Cyrillic", "Han", "Hiragana", "Hangul")),
]
_CLASSES = [*(f"[{script}]" for script in _SCRIPTS), rf"[\p{{L}}--[{''.join(_SCRIPTS)}]]"]
_PART = regex.compile("(?V1)" + "|".join([*(rf"(?:(?!{_FORM}){one}\p{{M}}*)+" for one in _CLASSES), r".\p{M}*"]))
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_NOT_LATIN = regex.compile(r"[^\p{Latin}\p{Script=Common}\p{Script=Inherited}]")
_WITH_GREEK = regex.compile(r"[A-Z]+[\u03b1-\u03c9]")


def normalize(text: str) -> str:
    """Return a text composed (NFC), without invisible characters, and with full stops for what stands for them: ``․``."""
    return text if text.isascii() else "".join(map(_full_stops, unicodedata.normalize("NFC", _UNSEEN.sub("", text))))


@lru_cache(maxsize=4096)
def _full_stops(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    if len(plain) > _MAX_EXPANSION:
        return plain[0]  # as U+FDFA stands for 18 characters
    return plain if _DOTS.fullmatch(plain) else char


def dot_readings(text: str) -> Sequence[str]:
    """Return a text, and it with dots for the signs that stand where those of an address would, and not in words that have them.

    A sign with the shape of a letter is read as either: ``paypal•c○m``.
    """
    if text.isascii():
        return [text]
    return [*dict.fromkeys([text, _BETWEEN_LABELS.sub(".", text), _BETWEEN_LABELS.sub(_dot_unless_shape, text)])]


def without_specks(text: str) -> str:
    """Return a text with one full stop for each dot that is doubled or has quotation marks or brackets around it: ``(paypal).com``."""
    return str(_SPECKED_DOTS.sub(".", text))


def _dot_unless_shape(sign: regex.Match[str]) -> str:
    letter = _shape(sign[0][0])
    return sign[0] if letter.isascii() and letter.isalnum() else "."


def label_prefixes(label: str) -> list[str]:
    """Return what a label, and each beginning of it up to a sign or another script, is read as, the longest first.

    ``bank.com登录`` and ``bank.com-login`` are read as ``bank.com`` by people.
    """
    texts = [text for text in accumulate(_PART.findall(label[: _LONGEST + 1])) if len(text) <= _LONGEST]
    return [reading for text in reversed(texts) for reading in readings(text)]


def readings(text: str) -> Sequence[str]:
    """Return what a text is read as: what it is (NFKC), what it can be confused with, and what it has the shape of."""
    return [text] if text.isascii() else [*dict.fromkeys((unicodedata.normalize("NFKC", text), skeleton(text), _by_shape(text)))]


def skeleton(text: str) -> str:
    """Return the ASCII text that a text can be confused with; characters without an ASCII counterpart stay.

    Capital letters are kept; combining marks and invisible characters are removed.
    """
    return text if text.isascii() else "".join(map(ascii_lookalike, text))


@lru_cache(maxsize=4096)
def ascii_lookalike(char: str) -> str:
    """Return the ASCII character that a character can be confused with (UTS 39), else what browsers map it to (UTS 46), without marks.

    A capital letter is not read as the small one that browsers map it to: a sigma looks like ``o``, its capital does not.
    """
    if char in _similar():
        return _similar()[char]
    try:
        mapped = unicodedata.normalize("NFKC", char) if char.isupper() else idna.uts46_remap(char, std3_rules=False)
    except idna.InvalidCodepoint:
        mapped = unicodedata.normalize("NFKC", char)
    plain = regex.sub(r"\p{M}", "", unicodedata.normalize("NFD", _UNSEEN.sub("", mapped)))
    return "".join(_similar().get(part, part) for part in plain)


@cache
def _similar() -> dict[str, str]:
    """Return each character by the ASCII character that it can be confused with (UTS 39, confusables.txt).

    Only the data file of the package is read, because importing the package keeps all its data in memory.
    """
    data = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text(encoding="utf-8"))
    likes = {char.strip("\u200e"): (one["c"] for one in entries) for char, entries in data.items() if not char.isascii()}
    return _FRAMED | {char: found for char, like in likes.items() if (found := next((one for one in like if one in _PLAIN), None))}


def _by_shape(text: str) -> str:
    """Return a text with the Latin letters of its shapes. Greek and Cyrillic letters count beside Latin ones only, as ``рок`` is a word."""
    if not _SHAPED.match(text):
        return text
    latin = _LATIN.search(text) is not None
    return "".join(_shape(char) if latin or not _ALPHABET.match(char) else ascii_lookalike(char) for char in text)


@lru_cache(maxsize=4096)
def _shape(char: str) -> str:
    """Return the letter of a shape, or a letter without a stroke, a hook, an overlay or a turn: ``đ``, ``ɵ`` and ``ɔ`` are some."""
    named = None if char.isascii() else _LATIN_NAME.match(unicodedata.name(char, ""))
    letter = str(named[1] if char.isupper() else named[1].lower()) if named else ascii_lookalike(char)
    return _LETTERS.get(char) or _LETTERS.get(unicodedata.normalize("NFKC", char), letter)


def passes_for_latin(text: str) -> str | None:
    """Return the first word that mixes Latin letters with another script and looks entirely Latin, None without one.

    This is a mixed-script confusable (UTS 39, section 4) of an ASCII word. ``Яndex``, ``λProlog`` and ``TNF`` with a small alpha are not.
    """
    words = (word for word in _WORD.findall(text) if not word.isascii() and _LATIN.search(word) and _NOT_LATIN.search(word))
    return next((word for word in words if not _WITH_GREEK.fullmatch(word) and all(ascii_lookalike(char).isascii() for char in word)), None)
