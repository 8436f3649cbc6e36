"""Names with a dot and no space after it that are no web addresses: ``Dr.Oetker``, ``F.C.Barcelona`` (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from .confusables import readings, skeleton
from .dots import BETWEEN_WORDS
from .suffixes import KNOWN, endings, is_suffix

_LIST = """
    Bros Capt Cia Co Col Corp Cv Dipl Dott Dr Dra Drs Fc Fr Ft Gebr Gen Gs Hnos Hon Inc Ing Ir Jr Lt Ltd Ltda Maj Mlle Mme Mr Mrs Ms Msgr
    Mt No Nr Pgs Prof Profa Pt Pty Pvt Rev San Sgt Sig Sr Sra St Sta Ste Ths Tic Tp Ts Ud Vol
"""
ABBREVIATIONS = frozenset(_LIST.split())
"""Abbreviations that people write with a dot and without a space, without accents. They are spelled so, or in capitals."""
CASELESS = frozenset({"\u0e1a\u0e08\u0e01", "\u0e14\u0e23", "\u0936\u094d\u0930\u0940"})
"""Abbreviations in scripts without capitals: "company" and "doctor" in Thai, "Mr" in Hindi."""
PRODUCTS = frozenset({"ADO.NET", "ASP.NET", "ML.NET", "VB.NET"})
"""Products that are named after a framework, .NET, and not after a web address."""
_DEGREES = frozenset({"B.Sc", "D.Sc", "M.Sc"})
PARTICLES = frozenset({"al", "de", "do", "la", "na", "so", "to", "za"})
"""Words, and ends of abbreviations, before a name: ``J.de Vries``, ``C.so Vittorio``."""

_SHORT = frozenset({"AG", "AS", "BV", "KG", "ME", "SA", "SC", "SE", "SL", "VI"})
"""Words of two letters after an abbreviation: forms of companies, and a number (``Vol.VI``). Any others are read as a country."""
_CLUBS = frozenset({"AC", "MC", "SC", "SV", "TC"})
"""Clubs that have a number: ``1.SC Feucht``."""
_INITIAL = regex.compile(
    r"(?:\p{Lu}|(?![\p{Script=Latin}\p{Ideographic}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])\p{L})\p{M}*|[0-9]{1,2}"
)
_WORD = regex.compile(r"\p{Lu}[\p{L}\p{M}]{2,}")
_BEFORE_NAME = regex.compile(r"\s+\p{Lu}")
_BEFORE_NUMBER = regex.compile(r"[.:\s]*\p{N}")
_GREEK = regex.compile(r"\p{Script=Greek}+\.[\u0391-\u03a9]{2}")
# Nothing stands before or after these that is read as a letter or a dot.
_STARTS = r"""(?<![^\s\p{Ps}\p{Pi}"'/,;:&+|!?])"""
_RUN = regex.compile(
    rf"{_STARTS}((?:[\p{{L}}\p{{M}}\p{{N}}]++\.)+)([\p{{L}}\p{{M}}]++)[\p{{L}}\p{{M}}\p{{N}}\p{{S}}\p{{Pc}}-]*+(?!\.[\p{{L}}\p{{S}}])"
)
_WORDS = regex.compile(
    rf"{_STARTS}\p{{Lu}}[\p{{L}}\p{{M}}]++(?:[{BETWEEN_WORDS}]\p{{Lu}}[\p{{L}}\p{{M}}]{{2,}}+)+(?![\p{{L}}\p{{N}}\p{{P}}\p{{S}}])"
)
_SIGN = regex.compile(f"[{BETWEEN_WORDS}]")


def spaced(text: str) -> str:
    """Return a text with a space after each dot of a name, and for each sign like a dot between capitalised words: ``Köln·Berlin``."""
    if "." in text:
        text = str(_RUN.sub(_spaced_name, text))
    return text if text.isascii() else str(_WORDS.sub(_spaced_words, text))


def _spaced_name(run: regex.Match[str]) -> str:
    name = _is_name(run[1][:-1].split("."), run[2], run.string[run.end(2) : run.end()], run.string[run.end() : run.end() + 9])
    return str(run[0]).replace(".", ". ") if name else run[0]


def _spaced_words(run: regex.Match[str]) -> str:
    words = _SIGN.split(run[0])
    return run[0] if any(map(_is_well_known, words[1:])) else " ".join(words)


def _is_name(before: Sequence[str], last: str, rest: str, follows: str) -> bool:
    """Return whether labels with dots between them are a name.

    :param last: letters with which the last label begins.
    :param rest: what remains of it.
    :param follows: the text after it.
    """
    if not rest and (".".join([*before, last]) in PRODUCTS | _DEGREES or _is_number(before, last, follows)):
        return True
    if last in ("ve", "VE") and _BEFORE_NAME.match(follows) and all(label[0].isupper() for label in before):
        return True  # Turkish "and"
    if _is_greek_company(before[-1], last):
        return not rest and not is_suffix(last.lower())
    return all(_INITIAL.fullmatch(label) or _is_abbreviation(label) for label in before) and _belongs_to(before, last, rest, follows)


def _is_number(before: Sequence[str], last: str, follows: str) -> bool:
    """Return whether labels are the word "number" of something: ``Art.Nr. 5``, ``Cad.No:5``. A capital needs only a dot after it."""
    found = last.lower() == "nr" or (last.lower() == "no" and all(len(label) < 6 and label.istitle() for label in before))
    return found and (_BEFORE_NUMBER.match(follows) is not None or (last != "no" and follows.startswith(".")))


def _is_greek_company(before: str, last: str) -> bool:
    """Return whether two Greek capitals stand after a Greek word that does not look Latin: the form of a company."""
    return _GREEK.fullmatch(f"{before}.{last}") is not None and not skeleton(before).isascii()


def _belongs_to(before: Sequence[str], last: str, rest: str, follows: str) -> bool:
    """Return whether a word stands after abbreviations, initials or ordinals and is no country and no suffix that everybody knows."""
    previous = before[-1]
    if last in PARTICLES and not rest and _BEFORE_NAME.match(follows):
        return True
    if is_suffix(".".join([*before, last]).lower()):
        return _is_abbreviation(before[0])  # nothing stands before the suffix: ``Co.UK``
    if _is_well_known(last + rest):
        return False
    if last == last.swapcase():
        return previous.isdecimal() or previous == previous.swapcase() or _is_abbreviation(previous)
    if _is_abbreviation(previous) and (skeleton(last) in _SHORT or (len(last) in (2, 3) and not rest and follows.startswith("."))):
        return True
    return (previous.isdecimal() and last in _CLUBS) or _WORD.fullmatch(last) is not None


def _is_abbreviation(label: str) -> bool:
    plain = skeleton(label)
    return label in CASELESS or (plain.title() in ABBREVIATIONS and (plain.istitle() or plain.isupper()))


def _is_well_known(label: str) -> bool:
    """Return whether a label is a suffix that everybody knows, or looks like one in other characters than ASCII."""
    if label.isascii():
        return label.partition("-")[0].lower() in KNOWN
    return any(suffix in KNOWN for reading in readings(label) for suffix in endings(reading))
