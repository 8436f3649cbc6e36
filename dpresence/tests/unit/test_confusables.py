"""Readings of a text: a person takes letters and signs for others in a web address (section 6)."""

from __future__ import annotations

import pytest

from dpresence.confusables import skeleton
from dpresence.web_addresses import addresses, other_address

READ_AS = {
    # two letters for one, digits and similar letters in a suffix
    "paypal.corn": "paypal.com",
    "Paypal.corn": "paypal.com",
    "PAYPAL.corn/login": "paypal.com",
    "www.paypal.corn.login": "www.paypal.com",
    "paypal.corn-login": "paypal.com",
    "paypal.corn\u767b\u5f55": "paypal.com",
    "paypal\u00b7corn": "paypal.com",
    "google.clev": "google.dev",
    "sparkasse.cle": "sparkasse.de",
    "bank.vvork": "bank.work",
    "bank.co.vviki": "bank.co.wiki",
    "paypal.c0m": "paypal.com",
    "paypal.0rg": "paypal.org",
    "paypal.n3t": "paypal.net",
    "bank.1ive": "bank.live",
    "bank.1nfo": "bank.info",
    "bank.cIub": "bank.club",
    "bank.lnfo": "bank.info",
    # strokes, hooks, bars and turned letters
    "paypal.c\u00f8m": "paypal.com",
    "paypal.c\u0275m": "paypal.com",
    "paypal.C\u00d8M": "paypal.com",
    "sparkasse.\u0111e": "sparkasse.de",
    "allegro.p\u0142": "allegro.pl",
    "bank.\u0127u": "bank.hu",
    "bank.\u0167k": "bank.tk",
    "github.\u0268o": "github.io",
    "paypal.\u0188om": "paypal.com",
    "paypal.\u023com": "paypal.com",
    "paypal.co\u0271": "paypal.com",
    "paypal.c\u0254m": "paypal.com",
    "paypal.n\u025bt": "paypal.net",
    "paypal.n\u0259t": "paypal.net",
    "paypal.\u014bet": "paypal.net",
    "paypal\u00b7c\u00f8m": "paypal.com",
    # letters of other scripts by their shape
    "wikipedia.\u3007rg": "wikipedia.org",
    "wikipedia\u00b7\u3007rg": "wikipedia.org",
    "wikipedia\u3002\u3007rg": "wikipedia.org",
    "\u9280\u884c\u3002\u531aom": "\u9280\u884c.com",
    "paypal.\u531aom": "paypal.com",
    "paypal.\u531a\u043em": "paypal.com",
    "paypal.\u531a\u53e3\u722a": "paypal.com",
    "paypal.\u531a\u30ed\u722a": "paypal.com",
    "paypal.c\u53e3m": "paypal.com",
    "paypal.c\u3147m": "paypal.com",
    "paypal.c\u0e4fm": "paypal.com",
    "paypal.n\u4e47\u4e03": "paypal.net",
    "paypal.\u03c2om": "paypal.com",
    "paypal.c\u03b8m": "paypal.com",
    "paypal.c\u0424m": "paypal.com",
    "paypal.\u043fet": "paypal.net",
    "yandex.\u044fu": "yandex.ru",
    "bank.d\u03b5": "bank.de",
    "sparkasse.\u2202e": "sparkasse.de",
    "paypal.n\u03b5t": "paypal.net",
    "amazon.co.u\u049a": "amazon.co.uk",
    "sparkasse.d\u04bf": "sparkasse.de",
    "bank.d\U0001d6c9": "bank.do",
    "bank.com\u0241Login": "bank.com",
    # several at once, and with something after it
    "paypal\u00b7c\u25cbm": "paypal.com",
    "paypal\u25cfc\u2296m": "paypal.com",
    "google\u25cfd\u212ev": "google.dev",
    "bank\u00b7w\u25cbrld": "bank.world",
    "paypal\u318dc\u25cfm": "paypal.com",
    "paypal\u2804\u00a2om": "paypal.com",
    "paypal\u00b7\u20acu": "paypal.eu",
    "sparkasse\u00b7\u2202e\u2460": "sparkasse.de",
    "wikipedi\u20b3\u27cborg": "wikipedia.org",
    "sparkasse.\u056ae": "sparkasse.de",
    "bank.L\u3163ve": "bank.live",
    "bank.liv\U0001d5f2\u02bcs": "bank.live",
    "ebay.i\u229d_x": "ebay.io",
    "google\u2022d\u212ev": "google.dev",
    "sparkasse.d\u03b5\ub85c\uadf8\uc778": "sparkasse.de",
    "amazon.e\U0001d69c\ub85c\uadf8\uc778": "amazon.es",
    # any sign or letter for the missing one of a suffix that everybody knows
    "paypal.\u00a2om": "paypal.com",
    "paypal.\u20acom": "paypal.com",
    "paypal.c\u25cbm": "paypal.com",
    "paypal.c\U0001f310m": "paypal.com",
    "paypal.c\u2764\ufe0fm": "paypal.com",
    "paypal.c\u6f22m": "paypal.com",
    "wikipedia.\u2605rg": "wikipedia.org",
    "paypal.n\u2211t": "paypal.net",
}


@pytest.mark.parametrize(("text", "address"), READ_AS.items())
def test_a_suffix_that_is_written_with_other_characters_is_one(text: str, address: str) -> None:
    assert address in addresses(text)
    assert other_address(text, "chess.example.org")


HONEST = """
    Ørsted  Malmø  Bjørn.Bøe  J.Kłos  Đorđe.Đokić  Straße.7  Sœur.Anne  Cæsar.IV
    JR山口  山口.人口  Type.C口  A.Iの本  P.T.Aの会  Dr.STONEの旅  Node.js版  モロー・トロ  カフェ・トロナ
    Да.Нет  д.Нет  ул.Ленина  Рок.Поп  Ёлка  Αθήνα  λProlog  Яndex.Поиск  한국.이름
    Popcorn  Unicorn  Mr.Corn  M.Clay  Bern  Vol.IV  Vol.III  Pt.II  Level.10  v2.1b  1.0rc1  1.0x  2.0mm  3.1c  10.0km  F.C.5om
    ΕΛ.ΑΣ.  ΕΛ.ΑΣ  ΠΑ.Σ  ΕΛ.ΣΥ  ΣΜ.ΣΟ  ст.ГО  с.Го  Р.ГУ  о.ГЕ
    Rock★n★Roll  I❤NY  C☺de  St.★  No.★1  A.☆.B
"""  # noqa: RUF001


@pytest.mark.parametrize("text", HONEST.split())
def test_other_letters_in_honest_names_make_no_address(text: str) -> None:
    assert addresses(text) == ()


def test_a_skeleton_is_what_a_text_looks_like() -> None:
    assert skeleton("\u0420\u0430\u0443\u0440\u0430l \u2014 \u1d2e") == "Paypal \u2014 b"
