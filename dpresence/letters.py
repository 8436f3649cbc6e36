"""Characters of other scripts that people write for Latin letters because of their shape (docs/protocol.md, section 6, Names and prose).

UTS 39 does not compare these with Latin letters, because nobody mistakes them in a word of their own script. In a word such as
``匚om`` everybody reads them so.
"""

from __future__ import annotations

import regex

_SHAPES = {
    "a": "卂厶ムค₳ДΔΛ",
    "b": "乃阝๒฿ßв",
    "c": "匚ᄃㄷᑕςɕ⊂⊏©℃☾",
    "d": "ᗪ刀∂ժ",
    "e": "乇モ巨ㅌᗴЄєэε∈∑Σξ€",
    "f": "千下ᖴ₣",
    "g": "Ꮆᘜ₲",
    "h": "卄廾んђ",
    "i": "工エ丨ㅣ",
    "j": "ﾌ亅",
    "k": "Ҝ₭к",
    "l": "ㄥレし乚ㄴᄂᒪ£",
    "m": "爪瓜从巾冊๓м",
    "n": "几冂凢ภ兀пПиИŋ∩₦ηнᑎ",
    "o": "ㄖ口回〇囗ロㅇㅁᄋ๏๐фФΘθѲѳӨө°○◯◎⊙☉⊕⊗⊘∅●◉⚪⚫⭕",
    "p": "卩尸户ア₱ק",
    "q": "Ɋ",
    "r": "尺гГЯя®",
    "s": "丂弓§ร",
    "t": "ㄒ丁十七ナ卞匕†₮✝тㅜτ",
    "u": "ㄩ凵цЦย",
    "v": "√",
    "w": "山ωฬшШщ₩",
    "x": "乂メㄨжχ",
    "y": "ㄚ丫ץ¥чУу",
    "z": "乙",
}
_ALPHABETIC = r"\p{Script=Greek}\p{Script=Cyrillic}"
_AS_LATIN = {shape: letter for letter, shapes in _SHAPES.items() for shape in shapes}
_IN_ANY_RUN = str.maketrans({shape: letter for shape, letter in _AS_LATIN.items() if not regex.match(f"[{_ALPHABETIC}]", shape)})
_IN_LATIN = str.maketrans(_AS_LATIN)
_SIGNS = "".join(shape for shape in _AS_LATIN if regex.match(r"\p{S}", shape))
_RUN = regex.compile(
    rf"[\p{{Script=Latin}}{_ALPHABETIC}\p{{M}}0-9{regex.escape(''.join(_AS_LATIN))}]{{3,}}|[\p{{Script=Latin}}{_ALPHABETIC}{_SIGNS}]{{2}}"
)
_HAS_LATIN = regex.compile(r"\p{Script=Latin}")


def as_letters(text: str) -> str:
    """Return a text with Latin letters for characters of their shape, in runs of three or more of either kind.

    A Greek or Cyrillic letter is replaced only beside Latin ones, as ``рок`` is a word, and also in a run of two, as is a symbol.
    """
    return text if text.isascii() else str(_RUN.sub(_in_latin, text))


def _in_latin(run: regex.Match[str]) -> str:
    return str(run[0]).translate(_IN_LATIN if _HAS_LATIN.search(run[0]) else _IN_ANY_RUN)
