"""Names with a dot and no space after it that are no web addresses: ``Dr.Oetker``, ``F.C.Barcelona`` (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from .confusables import skeleton
from .suffixes import KNOWN

_OF_TRADES = "Dis Gid Ihr Ins Ith Mak Mim Muh Nak Paz San Sti Taah Tek Teks Tic Tur"
_OTHERS = """
    Bros Capt Cia Co Col Corp Cv Dott Dr Dra Drs Fc Fr Ft Gebr Gen Hnos Hon Inc Ing Ir Jr Lt Ltd Ltda Maj Mlle Mme Mr Mrs Ms Msgr Mt
    No Nr Prof Profa Pt Pty Pvt Rev Sgt Sig Sr Sra St Sta Ste Tp Ud Vol
"""
_TRADES = frozenset(_OF_TRADES.split())
"""Turkish abbreviations in names of companies, between which "and" stands."""
ABBREVIATIONS = _TRADES | frozenset(_OTHERS.split())
"""Abbreviations that people write with a dot and without a space, without accents. They are spelled so, or in capitals."""
PRODUCTS = frozenset({"ADO.NET", "ASP.NET", "ML.NET", "VB.NET"})
"""Products that are named after a framework, .NET, and not after a web address."""
_DEGREES = frozenset({"B.Sc", "D.Sc", "M.Sc"})

_SHORT = frozenset({"AG", "AS", "BV", "KG", "ME", "SA", "SC", "SE", "SL", "VI"})
"""Words of two letters after an abbreviation: forms of companies, and a number (``Vol.VI``). Any others are read as a country."""
_CLUBS = frozenset({"AC", "MC", "SC", "SV", "TC"})
"""Clubs that have a number: ``1.SC Feucht``."""
_INITIAL = regex.compile(
    r"(?:\p{Lu}|(?![\p{Script=Latin}\p{Ideographic}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])\p{L})\p{M}*|[0-9]{1,2}"
)
_WORD = regex.compile(r"[\p{Lu}\p{Lo}][\p{L}\p{M}]{2,}")


def is_abbreviation(label: str) -> bool:
    """Return whether a label is one of the abbreviations, spelled with a capital letter or in capitals."""
    plain = skeleton(label)
    return plain.title() in ABBREVIATIONS and (plain.istitle() or plain.isupper())


def is_name(labels: Sequence[str]) -> bool:
    """Return whether labels with dots between them are a name: abbreviations, initials or ordinals, and then a capitalised word.

    The word has three letters or more, because two are a country: ``Dr.Dk`` is a web address. A few of two letters are excepted.
    A word of a script without capital letters stands after an initial of such a script: ``ד.ישראל``.
    """
    *before, last = labels
    if ".".join(labels) in PRODUCTS | _DEGREES:
        return True
    if not all(_INITIAL.fullmatch(label) or is_abbreviation(label) for label in before):
        return False
    if len(last) < 3:
        return _belongs_to(before[-1], last)
    return bool(_WORD.fullmatch(last)) and last.lower() not in KNOWN and (last[0].isupper() or _has_no_case(before[-1]))


def _has_no_case(label: str) -> bool:
    return label[0].isalpha() and label == label.swapcase()


def _belongs_to(before: str, last: str) -> bool:
    """Return whether a word of two letters is one of those that stand after such a label: ``Co.KG``, ``1.SC``, ``San.ve Tic.``."""
    if before.isdigit():
        return last in _CLUBS
    return is_abbreviation(before) and (last in _SHORT or (last.lower() == "ve" and skeleton(before).title() in _TRADES))
