"""Signs that look like a dot: they count as one where an address would have it, and not in the words of languages that use them."""

from __future__ import annotations

import unicodedata

import pytest
import regex

from dpresence.web_addresses import addresses, other_address

READ_AS = {
    "\u9280\u884c\u2022com": "\u9280\u884c.com",
    "\U0001d41b\U0001d41a\U0001d427\U0001d424\u2044com": "bank.com",
    # dots that stand in words of several languages, and pictures of one, before a suffix
    "bank\u00b7com": "bank.com",
    "Bank\u00b7COM": "bank.com",
    "Bank\u0387com": "bank.com",
    "bank\u00b7\u0323com": "bank.com",
    "bank\u2022\u0323com": "bank.com",
    "bank\u00b7co\u00b7uk": "bank.co.uk",
    "bank\u00b7c\u043em": "bank.com",
    "bank\u00b7\uff43\uff4f\uff4d": "bank.com",
    "bank\u00b7\U0001d41c\U0001d428\U0001d426": "bank.com",
    "bank\u00b7com\u00b7login": "bank.com",
    "bank\u00b7com-login": "bank.com",
    "bank\u00b7com\u767b\u5f55": "bank.com",
    "www.bank\u00b7com": "www.bank.com",
    "santander\u00b7es": "santander.es",
    "swedbank\u00b7se": "swedbank.se",
    "paypal\u00b7live": "paypal.live",
    "bank\u00b7la": "bank.la",
    "\u0431\u0430\u043d\u043a\u00b7\u0440\u0444": "\u0431\u0430\u043d\u043a.\u0440\u0444",
    "bank\u30fbcom": "bank.com",
    "bank\uff65com": "bank.com",
    "\u9280\u884c\u30fbcom": "\u9280\u884c.com",
    "\u9280\u884c\u30fbCom": "\u9280\u884c.com",
    "\u9280\u884c\u30fb\u0421\u041e\u041c": "\u9280\u884c.com",
    "\u9280\u884c\u30fb\uff23\uff4f\uff4d": "\u9280\u884c.com",
    "\u30a2\u30de\u30be\u30f3\u30fbjp": "\u30a2\u30de\u30be\u30f3.jp",
    "bank\u318dcom": "bank.com",
    "bank\u0f0bcom": "bank.com",
    "bank\u0971com": "bank.com",
    "bank\u166ecom": "bank.com",
    "bank\u02d9com": "bank.com",
    "bank\u2e30com": "bank.com",
    "bank\u4e36com": "bank.com",
    "bank\u25cfcom": "bank.com",
    "bank\u0887com": "bank.com",
    "bank\u1390com": "bank.com",
    "bank\u25e6com": "bank.com",
    "bank\u26abcom": "bank.com",
    "bank\u25aacom": "bank.com",
    "1\u00b72\u30fb3\u00b74": "1.2.3.4",
    "paypal\ufbb3com": "paypal.com",
    "paypal\u2e3ccom": "paypal.com",
    "paypal\u2802com": "paypal.com",
    "paypal\u06d4com": "paypal.com",
    "paypal\u26aacom": "paypal.com",
    "paypal\u00b0com": "paypal.com",
    "paypal\u00bacom": "paypal.com",
    "paypal\u02dacom": "paypal.com",
    "amazon\u00b0co\u00b0uk": "amazon.co.uk",
    "paypal\u00a6live": "paypal.live",
    "paypal\u2488com": "paypal.com",
    "bank\u0140com": "bankl.com",
    "\u0431\u0430\u043d\u043a\u00b0\u0440\u0444": "\u0431\u0430\u043d\u043a.\u0440\u0444",
    # letters like dots
    "paypal\u02d1com": "paypal.com",
    "paypal\u02cccom": "paypal.com",
    "paypal\u02cfcom": "paypal.com",
    "paypal\u119ecom": "paypal.com",
    # doubled, or with specks around it
    "paypal..com": "paypal.com",
    "paypal....com": "paypal.com",
    "paypal\u2026com": "paypal.com",
    "paypal\u2025com": "paypal.com",
    "paypal.,com": "paypal.com",
    "paypal,.com": "paypal.com",
    "paypal'.com": "paypal.com",
    "paypal\u2019.com": "paypal.com",
    '"paypal".com': "paypal.com",
    "paypal!\u2022com": "paypal.com",
    "paypal\u2022\u2022com": "paypal.com",
    "paypal\u00b0.com": "paypal.com",
    "(paypal).com": "paypal.com",
    "paypal*.com": "paypal.com",
    "paypal\u2122\u2022com": "paypal.com",
    "paypal\U0001f512\u2022com": "paypal.com",
    "paypal\ua4facom": "paypal.com",
    "paypal\ua4fbcom": "paypal.com",
    "paypal[.]com": "paypal.com",
    "paypal(.)c0m": "paypal.com",
    "paypal..c\u043em": "paypal.com",
    "www..paypal..com": "www.paypal.com",
    "paypal..com.login": "paypal.com",
    # the exceptions for French and Catalan words are of their sign alone
    "amazon\u25aaes": "amazon.es",
    "amazon\u02d9es": "amazon.es",
    "paypal\u25cfla": "paypal.la",
    # and after the letters that words have there
    "paypal\u00b7es": "paypal.es",
    "elpais\u00b7es": "elpais.es",
    "flipkart\u00b7in": "flipkart.in",
    "icici\u00b7in": "icici.in",
    "police\u00b7ice": "police.ice",
    "paypal\u00b7li": "paypal.li",
    "paypal\u00b7legal": "paypal.legal",
    # a full stop beside a Latin letter
    "bank\u3002\u4e2d\u56fd": "bank.\u4e2d\u56fd",
    "\u94f6\u884c\u3002Com": "\u94f6\u884c.com",
    "\u94f6\u884c\u3002CN": "\u94f6\u884c.cn",
    "\u94f6\u884c\u3002com": "\u94f6\u884c.com",
    "\u94f6\u884c\uff61cn": "\u94f6\u884c.cn",
    "\u94f6\u884c.\u4e2d\u56fd": "\u94f6\u884c.\u4e2d\u56fd",
    "paypal\u06d4\u067e\u0627\u06a9\u0633\u062a\u0627\u0646": "paypal.\u067e\u0627\u06a9\u0633\u062a\u0627\u0646",
}


@pytest.mark.parametrize(("text", "address"), READ_AS.items())
def test_a_name_with_signs_for_dots_between_the_labels_of_an_address_is_one(text: str, address: str) -> None:
    assert address in addresses(text)
    assert other_address(text, "chess.example.org")


LIKE_DOTS = regex.compile(r"\b(?:DOT|DOTS|FULL STOP|BULLET|CIRCLE|RING|DEGREE|POINT|SPOT|STOP|SLASH|SOLIDUS)\b")
NO_DOTS = regex.compile(r"\p{Ps}|\p{Pe}|\p{Emoji}|\p{InArrows}|\p{InDingbats}|[\u2025\ufe30]|[\u2600-\u26ff\uff3c]")


def test_every_sign_that_is_named_after_a_dot_a_circle_or_a_slash_is_one() -> None:
    signs = [char for char in map(chr, range(0xA1, 0x20000)) if unicodedata.category(char)[0] in "PS"]
    signs = [char for char in signs if LIKE_DOTS.search(unicodedata.name(char, "")) and not NO_DOTS.match(char)]
    assert len(signs) > 300, "there are such signs"
    assert [char for char in signs if not addresses(f"paypal{char}com")] == []


HONEST = """
    Col·legi  COL·LEGI  Paral·lel  Sibil·la  Camil·la_i_Sibil·la  instal·lat  al·lucinant
    étudiant·es  étudiant·e·s  ami·es  employé·es  chercheur·es  danseur·se·s  heureux·se  créatif·ve  citoyen·ne  citoyen·ne·s  acteur·rice
    époux·se  jaloux·se  Veuf·ve  Québécois·es  Chinois·es  Français·es  Anglais·es  Espagnol·es  seul·es  noir·es  Il·legal
    Lehrer·in  Schüler·innen  Student·in  Nutzer·in  Autor·in  Praktikant·in  Freund·in  Kolleg·in  Polizist·in  todos·as  amigo·as
    acteur·ice  lecteur·ice·s  Marcel·lí  Al·là
    你好。世界  你好｡世界  将棋。将棋。中国  こんにちは。みんな  新曲。Love  안녕。한국  شکریہ\N{ARABIC FULL STOP}پاکستان
    ジョン・スミス  ｼﾞｮﾝ･ｽﾐｽ  ポイント・クラウド  データ・AI  カフェ・Bar  Web・デザイン  卡尔·马克思  乔治·W·布什  가ㆍ나  将棋•囲碁
    Chess_·_Go  Chess·Go·Shogi  A·B  3·5  ●_com  bank_●_com
    Sibi\u0140la  Para\u0140lel  Gal·les  tou·te·s  collaborateur·rice·s  Ärzt·innen  Bürger·in  한국·미국·EU  AI・クラウド
    WEB、API、APP  Mac、Windows  apps、website、products  报告、AI  ポイント＆クラウド
    Wait...what  No..no  (A).de  Foo[.]bar  Foo...bar  a.,b  "Hello".live  Acme_Co.,Ltd.  F#,_.NET  St.(Gallen)
    東京、大阪  राम।श्याम  जय।भारत  صدى،قطر  Love☆Live  Love♪Live  Rock♥Live  café☆bar  Café✿Bar  Rock→Pop  Love♡Life
    Tom×Jerry  Nike×Dior  O´Dell  20°C
    360°Media  5€/h  Kilo–Watt  24／7  1⁄2  Nº1  1ºB  D.ª_Ana  C.ª_SA
"""  # noqa: RUF001


@pytest.mark.parametrize("text", HONEST.split())
def test_a_dot_in_a_word_or_between_words_is_none_of_an_address(text: str) -> None:
    assert addresses(text.replace("_", " ")) == ()
