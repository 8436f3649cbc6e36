"""Names with a dot and no space after it that are no web addresses: ``Dr.Oetker``, ``F.C.Barcelona`` (docs/protocol.md, section 6)."""

from __future__ import annotations

import unicodedata

import regex

from .suffixes import KNOWN, top_level_domains

_LIST = """
    Bros Capt Cia Co Col Corp Cv Dipl Dott Dr Dra Drs Fc Fr Ft Gebr Gen Gs Hnos Hon Inc Ing Ir Jr Lt Ltd Ltda Maj Mlle Mme Mr Mrs Ms Msgr
    Mt No Nr Pgs Prof Profa Pt Pty Pvt Rev San Sgt Sig Sr Sra St Sta Ste Ths Tic Tp Ts Ud Univ Vol
"""
ABBREVIATIONS = frozenset(_LIST.split())
"""Abbreviations that people write with a dot and without a space, without accents. They are spelled so."""
CAPITALS = ("CIA", "CO", "CV", "DR", "FC", "LTD", "LTDA", "PT", "PTY", "PVT", "ST", "TP", "TS", "UD")
"""Those of them that people write in capitals. Others are names of companies: ``ING``, ``FT``, ``MS``."""
CASELESS = ("\u0e1a\u0e08\u0e01", "\u0e14\u0e23", "\u0936\u094d\u0930\u0940")
"""Abbreviations in scripts without capitals: "company" and "doctor" in Thai, "Mr" in Hindi."""
PARTICLES = ("de", "do", "so")
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
      # abbreviations, initials and ordinals, and a capitalised word: Dr.House, F.C.Barcelona
      {_FIRST}+ (?P<word>{_CAPITALISED}{_REST}*+)
      # initials, and a particle before a capitalised word: J.de Vries
    | (?:{_INITIAL}\.)+ (?:\L<particles>) (?=\s+\p{{Lu}})
      # an abbreviation, an ordinal or an initial without case, and a word without case: 1.游戏
    | {_FIRST}* (?:\L<short>|{_CASELESS}|[0-9]{{1,2}})\. [\p{{Lo}}\p{{M}}]{{2,}}+
      # companies, and a number: Co.KG, Tic.AŞ, Vol.VI
    | {_FIRST}* (?:C[oO]\.KG|Tic\.AS|Vol\.VI)
      # titles of physicians after an abbreviation: Dr.med., Dr.med.dent., TS.BS.
    | {_FIRST}* \L<short>\. (?:med(?:\.(?:dent|univ|vet))?|BS) (?=\.)
      # the word for a number after short capitalised words, with a dot or a number after it: Art.Nr. 5, Cad.No:5
    | (?:\p{{Lu}}\p{{Ll}}{{0,4}}\.)+ N[or] (?=\.|[:\s]*\p{{N}})
      # the Turkish "and" between short capitalised abbreviations: San.ve Tic.
    | (?:\p{{Lu}}\p{{L}}{{0,4}}\.)+ (?:ve|VE) (?=\s+\p{{Lu}})
      # a Greek word that does not look Latin, and a form of company: Λάμδα.ΕΕ
    | (?=\p{{Greek}}*[ΓΔΘΛΞΠΣΦΨΩγδζηθλμξπςσφχψω]) \p{{Greek}}+\. (?:ΑΕ|ΑΒΕΕ|ΕΕ|ΕΠΕ|ΙΚΕ|ΟΕ)
      # frameworks, and degrees
    | (?:ADO|ASP|ML|VB)\.NET | [BDM]\.Sc
      # capitalised words with another sign than a full stop between them: Köln·Berlin
    | (?P<word>[\p{{Lu}}\p{{N}}][\p{{L}}\p{{N}}]*+) (?:(?!\.){_SEPARATOR.pattern} (?P<word>\p{{Lu}}\p{{L}}{{2,}}+))+
    )
    (?! {_REST} | \.[\p{{L}}\p{{S}}] )  # nor does anything stand after it
    """,
    short=[*ABBREVIATIONS, *CAPITALS, *CASELESS],
    particles=PARTICLES,
)


def without_name_dots(text: str) -> str:
    """Return a text with a space for each dot of a name: ``Dr.House``, ``Köln·Berlin``."""
    plain = text if text.isascii() else "".join(unicodedata.normalize("NFD", char)[0] for char in text)
    for name in _NAMES.finditer(plain):
        if not any(map(_is_well_known, name.captures("word"))):
            text = text[: name.start()] + _SEPARATOR.sub(" ", text[name.start() : name.end()]) + text[name.end() :]
    return text


def _is_well_known(word: str) -> bool:
    """Return whether a word is a suffix that everybody knows, or looks like one in other characters than ASCII."""
    return word.partition("-")[0].lower() in KNOWN if word.isascii() else not KNOWN.isdisjoint(top_level_domains(word))
