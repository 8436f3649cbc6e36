"""Names with a dot and no space after it that are no web addresses: ``Dr.Oetker``, ``F.C.Barcelona`` (docs/protocol.md, section 6)."""

from __future__ import annotations

import unicodedata

import regex

from .suffixes import KNOWN, endings

_LIST = """
    Bros Capt Cia Co Col Corp Cv Dipl Dott Dr Dra Drs Fc Fr Ft Gebr Gen Gs Hnos Hon Inc Ing Ir Jr Lt Ltd Ltda Maj Mlle Mme Mr Mrs Ms Msgr
    Mt No Nr Pgs Prof Profa Pt Pty Pvt Rev San Sgt Sig Sr Sra St Sta Ste Ths Tic Tp Ts Ud Univ Vol
"""
ABBREVIATIONS = frozenset(_LIST.split())
"""Abbreviations that people write with a dot and without a space, without accents. They are spelled so, or in capitals."""
CASELESS = ("\u0e1a\u0e08\u0e01", "\u0e14\u0e23", "\u0936\u094d\u0930\u0940")
"""Abbreviations in scripts without capitals: "company" and "doctor" in Thai, "Mr" in Hindi."""
PARTICLES = ("al", "de", "do", "la", "na", "so", "to", "za")
"""Words, and ends of abbreviations, before a name: ``J.de Vries``, ``C.so Vittorio``."""

_SEPARATOR = regex.compile("[.·•・･°／]")
_IDEOGRAM = r"[\p{Ideographic}\p{Hiragana}\p{Katakana}\p{Hangul}]"
_INITIAL = rf"(?:\p{{Lu}}|(?!{_IDEOGRAM}|\p{{Latin}})\p{{L}}\p{{M}}*)"
_CASELESS = rf"(?:(?!{_IDEOGRAM})\p{{Lo}}\p{{M}}*)"
_CAPITALISED = r"(?:[A-Z][A-Za-z]{2,}+|(?!\p{Latin})\p{Lu}(?:(?!\p{Latin})\p{L}){2,}+)"
_FIRST = rf"(?:(?:\L<short>|{_INITIAL}|[0-9]{{1,2}})\.)"
_REST = r"[\p{L}\p{M}\p{N}\p{S}\p{Pc}-]"
_NAMES = regex.compile(
    rf"""(?x)
    (?<![^\s\p{{Ps}}\p{{Pi}}"'/,;:&+|!?])  # nothing stands before it that is read as a letter or a dot
    (?:
      {_FIRST}+ (?: (?P<word>{_CAPITALISED}{_REST}*+) | (?:\L<particles>)(?=\s+\p{{Lu}}) )
    | {_FIRST}* (?:\L<short>|{_CASELESS}|[0-9]{{1,2}})\. [\p{{Lo}}\p{{M}}]{{2,}}+                           # 1.游戏
    | {_FIRST}* \L<short>\. (?:AG|AS|BV|KG|ME|SA|SC|SE|SL|VI)                                      # Co.KG
    | {_FIRST}* \L<short>\. (?:med\.(?:dent|univ|vet)|(?P<word>\p{{L}}{{2,3}})) (?=\.)             # Dr.med.
    | [0-9]{{1,2}}\. (?:AC|MC|SC|SV|TC)                                                           # 1.SC Feucht
    | (?:[\p{{L}}\p{{M}}\p{{N}}]+\.)+ (?i:nr) (?=\.|[:\s]*\p{{N}})                                    # Art.Nr. 5
    | (?:\p{{Lu}}\p{{Ll}}{{0,4}}\.)+ (?: N[oO](?=\.) | (?i:no)(?=[.:\s]*\p{{N}}) )                      # Cad.No:5
    | (?:\p{{Lu}}\p{{L}}*\.)+ (?:ve|VE) (?=\s+\p{{Lu}})                                             # San.ve Tic.
    | (?=\p{{Greek}}*[ΓΔΘΛΞΠΣΦΨΩγδζηθλμξπςσφχψω]) \p{{Greek}}+\. (?:ΑΕ|ΑΒΕΕ|ΕΕ|ΕΠΕ|ΙΚΕ|ΟΕ)           # Λάμδα.ΕΕ
    | (?:ADO|ASP|ML|VB)\.NET | [BDM]\.Sc | S\.Pt | C[oO]\.(?:ID|IL|IN|JP|KR|NZ|TH|UK|ZA)
    | (?P<word>[\p{{Lu}}\p{{N}}][\p{{L}}\p{{N}}]*+) (?:(?!\.){_SEPARATOR.pattern} (?P<word>\p{{Lu}}\p{{L}}{{2,}}+))+    # Köln·Berlin
    )
    (?! {_REST} | \.[\p{{L}}\p{{S}}] )
    """,
    short=[*ABBREVIATIONS, *map(str.upper, ABBREVIATIONS), *CASELESS],
    particles=PARTICLES,
)


def spaced(text: str) -> str:
    """Return a text with a space for each dot of a name: ``Dr.House``, ``Köln·Berlin``."""
    plain = text if text.isascii() else "".join(unicodedata.normalize("NFD", char)[0] for char in text)
    for name in _NAMES.finditer(plain):
        if not any(map(_is_well_known, name.captures("word"))):
            text = text[: name.start()] + _SEPARATOR.sub(" ", text[name.start() : name.end()]) + text[name.end() :]
    return text


def _is_well_known(word: str) -> bool:
    """Return whether a word is a suffix that everybody knows, or looks like one in other characters than ASCII."""
    return word.partition("-")[0].lower() in KNOWN if word.isascii() else not KNOWN.isdisjoint(endings(word))
