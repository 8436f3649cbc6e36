"""Names with a dot and without a space after it: abbreviations, initials and ordinals make no address, country codes do (section 6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpresence.abbreviations import ABBREVIATIONS, CAPITALS, PARTICLES
from dpresence.web_addresses import addresses, other_address

READ_AS = {
    "St.Com": "st.com",
    "Dr.Com": "dr.com",
    "dr.house": "dr.house",
    "www.Dr.House": "www.dr.house",
    "Dr.Info": "dr.info",
    "PayPal.Co.KG": "paypal.co.kg",
    # two letters are a country
    "dr.no": "dr.no",
    "DR.NO": "dr.no",
    "Dr.No": "dr.no",
    "Dr.Dk": "dr.dk",
    "DR.DK": "dr.dk",
    "Vol.At": "vol.at",
    "Mr.Tv": "mr.tv",
    "Dr.ve": "dr.ve",
    "Acme.ve": "acme.ve",
    "acme.ve Tic.": "acme.ve",
    "T.Me": "t.me",
    "T.ME": "t.me",
    "X.Ai": "x.ai",
    "1.FM": "1.fm",
    "9.CN": "9.cn",
    # names of companies are no abbreviations, nor are numbers and abbreviations before particles
    "ING.Bank": "ing.bank",
    "ING.SE": "ing.se",
    "FT.Live": "ft.live",
    "ING.de Login": "ing.de",
    "FR.de Nachrichten": "fr.de",
    "Fr.de Nachrichten": "fr.de",
    "S.to Serien": "s.to",
    "24.de Login": "24.de",
    # two letters with a dot after them
    "DR.dk.": "dr.dk",
    "Dr.dk. Login": "dr.dk",
    "ING.nl.": "ing.nl",
    "MS.ai.": "ms.ai",
    "CO.uk. shop": "co.uk",
    "Co.UK": "co.uk",
    "Vipps.no 24": "vipps.no",
    "Nav.no 1": "nav.no",
    "Vipps.nr 24": "vipps.nr",
    "paypal.nr. Login": "paypal.nr",
    "PayPal.ve Login": "paypal.ve",
    "S.Pt": "s.pt",
    "1.SC": "1.sc",
    "Dr.ME": "dr.me",
    # initials and ordinals only stand for one word
    "x.Berlin": "x.berlin",
    "F.C.barcelona": "f.c.barcelona",
    "X.COM": "x.com",
    "X.C0m": "x.com",
    "X.C\u2606m": "x.com",
    "J.Org": "j.org",
    "163.Com": "163.com",
    "123.Berlin": "123.berlin",
    "AB.Berlin": "ab.berlin",
    "\u0433.\u043c\u043e\u0441\u043a\u0432\u0430": "\u0433.\u043c\u043e\u0441\u043a\u0432\u0430",
    "\u0433.\u041a\u043e\u043c": "\u0433.\u043a\u043e\u043c",
    "A.\u092d\u093e\u0930\u0924": "a.\u092d\u093e\u0930\u0924",
    "paypal.\u5065\u5eb7": "paypal.\u5065\u5eb7",
    "B\u00e4nk.\u0e44\u0e17\u0e22": "b\u00e4nk.\u0e44\u0e17\u0e22",
    # a word that looks Latin between others that do
    "\u0440\u0430\u0443\u0440\u0430\u0443.\u0441\u043e": "paypay.co",
    "\u0411\u0430\u043d\u043a.\u0441\u043e\u043c": "\u0431\u0430\u043d\u043a.com",
    "\u0411\u0430\u043d\u043a.\u0440\u0444": "\u0431\u0430\u043d\u043a.\u0440\u0444",
    "\u0441\u0431\u0435\u0440\u0431\u0430\u043d\u043a.\u0440\u0443": "\u0441\u0431\u0435\u0440\u0431\u0430\u043d\u043a.py",
    # a particle, and the word for a number, have a name or a number after them
    "Sparkasse.de Login": "sparkasse.de",
    "J.de": "j.de",
    "J.de login": "j.de",
    "X.ai Login": "x.ai",
    "T.me Support": "t.me",
    "paypal.no": "paypal.no",
    "paypal.no 5": "paypal.no",
    "DNB.no. Login": "dnb.no",
    "Dnb.no. Login": "dnb.no",
    "T.Me. Login": "t.me",
    "X.Ai.": "x.ai",
    "Dr.med.com.": "dr.med.com",
    "Dr.DHL.de. Login": "dr.dhl.de",
    "Dr.med.DE.": "dr.med.de",
    "Dr.ebay.live": "dr.ebay.live",
    "paypal.UK Co.UK": "paypal.uk",
    "\u03a1\u0391\u03a5\u03a1\u0391\u0399.\u0395\u0395": "paypal.ee",
    "Dr.com. Login": "dr.com",
    "T.ME. Login": "t.me",
    "Sparkasse.de. Login": "sparkasse.de",
    # characters that are read as others
    "X.\u0421om": "x.com",
    "J.\u041erg": "j.org",
    "J.Or\u0261": "j.org",
    "X.C\u00f8m": "x.com",
    "X.Inf\u2295": "x.info",
    "paypal\u2024Co.KG": "paypal.co.kg",
    "K\u00f6ln\u00b7Com": "koln.com",
    "Paypal\u00b7\u0421om": "paypal.com",
    "Amazon\u00b7De": "amazon.de",
    "www.Paypal\u00b7Live": "www.paypal.live",
    "\u4eac.\u4e2d\u56fd": "\u4eac.\u4e2d\u56fd",
    "\u0441\u0431.\u041c\u043e\u0441\u043a\u0432\u0430": "\u0441\u0431.\u043c\u043e\u0441\u043a\u0432\u0430",
}


@pytest.mark.parametrize(("text", "address"), READ_AS.items())
def test_an_abbreviation_before_a_suffix_that_is_no_word_makes_an_address(text: str, address: str) -> None:
    assert address in addresses(text)
    assert other_address(text, "chess.example.org")


@pytest.mark.parametrize(
    "text",
    [
        "Dr.House", "Dr.Oetker", "DR.HOUSE", "Mr.Bean", "St.Cloud", "ST.CLOUD", "Prof.Dr.Love", "Capt.Cook", "Gebr.Schmidt", "Pt.Live",
        "Tom & Co.KG", "M\u00fcller GmbH & Co.KG", "GMBH & CO.KG", "Acme Co.Ltd", "CO.LTD", "Acme Co.,Ltd.", "Acme Pvt.Ltd",
        "Acme Tic.Ltd.", "PT.Bank Rakyat", "CV.Live", "TP.Paris",
        "M\u00fch.ve Mim.",
        "San.ve Tic.", "SAN.VE T\u0130C.", "\u0130n\u015f.ve Tic.", "\u0130n\u015f.San.ve Tic.Ltd.\u015eti.", "Tic.A\u015e",
        "F.C.Barcelona", "F.C.BARCELONA", "J.Paris", "S.K.Berlin", "St.J.Paris", "E.Leclerc", "B.Sc.", "B.Tech", "M.Sc. Chess",
        "\u0433.\u041c\u043e\u0441\u043a\u0432\u0430", "\u0413.\u041c\u043e\u0441\u043a\u0432\u0430", "2.Berlin Marathon",
        "\u05d3.\u05d9\u05e9\u05e8\u05d0\u05dc", "\u062f.\u0642\u0637\u0631", "\u0921\u0949.\u092d\u093e\u0930\u0924",
        "24.Mai", "3.Run", "1.FC K\u00f6ln", "Vol.VI", "Vol.IV", "No.One", "Vol.2", "No.1",
    ],
)  # fmt: skip
def test_a_word_after_an_abbreviation_an_initial_or_an_ordinal_makes_no_address(text: str) -> None:
    assert addresses(text) == ()


HONEST = """
    г.Сочи  г.Самара  г.Томск  ул.Советская  ул.Маркса  м.Суми  гр.София  с.Соколово  Αγ.Νικόλαος  Δρ.Μάρκος  Οδ.Σοφίας
    Λεωφ.Κηφισίας  с.Маринка  Хот.Өм
    100_кв.км  500_куб.см  Пн.Вт.  гос.во  и.о.директора  Παπαδόπουλος.ΑΕ  Αφοί.ΟΕ  Λάμδα.ΕΕ
    Art.Nr._123  Tel.Nr.  Cad.No:5  Sok.No:3  H.No._5  H.No.5  H.No.  Mah.Sok.No:_3  Best.-Nr._7
    Dr.med.  Dr.med._Müller  Dipl.Ing.  TS.BS._Nguyễn  S.A.de_C.V.  J.de_Vries  M.de_Souza  C.so_Vittorio
    Univ.Prof._Köhler  CAD／CAM工程師
    Dr.med.dent.  Dr.med.univ.  Dr.rer.nat.  S.r.l.  Sp.z_o.o.  d.o.o.  A.Ş.  e.V.  i.d.R.  т.е.  100_кв.м
    ул.Мира      р.Волга  о.Сахалин  пл.Победы
    Avda.Sol  Sr.Pérez  Dña.Ana  ks.Jan  MUDr.Nová  ifj.Nagy  TP.HCM  Cty.TNHH  ด.ช.สมชาย  د.أحمد  ش.م.م  ג.כהן  주.회사  김.이.박
    ΔΕΗ.ΑΕ  Νέα.ΙΚΕ
    San.ve_Tic.  M.Sc._Chess  B.Sc_Physics
    1.游戏  2.健康  Dr.健康  บจก.ไทย  श्री.भारत_पाटील  1.ישראל  F.C.Barcelona⚽  (Dr.House)  Foo/Dr.House
    Köln·Berlin  Café·Bar  Rock•Pop•Bar  KÖLN·BERLIN
"""  # noqa: RUF001


@pytest.mark.parametrize("text", HONEST.split())
def test_places_companies_numbers_and_titles_make_no_address(text: str) -> None:
    assert addresses(text.replace("_", " ")) == ()


def test_abbreviations_are_listed_without_accents_and_as_they_are_capitalised() -> None:
    assert all(word.istitle() and word.isascii() for word in ABBREVIATIONS)


def test_the_contract_lists_the_abbreviations() -> None:
    text = (Path(__file__).parents[3] / "docs/protocol.md").read_text(encoding="utf-8")
    listed = text.partition("with accents or without: ")[2].partition(".\n")[0]
    assert set(listed.split()) == ABBREVIATIONS
    assert f"in capitals {', '.join(CAPITALS[:-1])} and {CAPITALS[-1]}" in " ".join(text.split())
    assert f"one of {', '.join(sorted(PARTICLES)[:-1])} and {max(PARTICLES)}" in " ".join(text.split())
