"""Web addresses in names: those that a person takes for one are found, whatever they are written with (section 6)."""

from __future__ import annotations

import time
from pathlib import Path

import publicsuffixlist
import pytest

from dpresence.suffixes import site
from dpresence.web_addresses import addresses, load, other_address, refusal

READ_AS = {
    "bank.example": "bank.example",
    "Bank.EXAMPLE": "bank.example",
    "PAYPAL.COM": "paypal.com",
    "Paypal.Com": "paypal.com",
    "Log in (https://bank.com/x)": "bank.com",
    "ann@bank.com": "bank.com",
    "Visit www.bank.co.uk!": "www.bank.co.uk",
    "paypal.co.kg": "paypal.co.kg",
    "Paypal.Co.KG": "paypal.co.kg",
    "alice.github.io": "alice.github.io",
    "xn--bnk-5cd.com": "xn--bnk-5cd.com",
    "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444": "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
    "\u65e5\u672c\u8a9e.com": "\u65e5\u672c\u8a9e.com",
    # with something around it
    "bank.co.ck": "bank.co.ck",
    "bank.com.bd": "bank.com.bd",
    "Bank\u00ae.com": "bankr.com",
    "Bank\u2122.com": "banktm.com",
    "my_bank.com": "my_bank.com",
    "\U0001f389.com": "\U0001f389.com",
    "Macy\u2019s.com": "s.com",
    "bank.com\u00ae": "bank.com",
    "bank.com_login": "bank.com",
    "bank.com-login": "bank.com",
    "bank.com-": "bank.com",
    "bank.com.login": "bank.com",
    "bank.com-x.login": "bank.com",
    # other dots
    "bank\uff0ecom": "bank.com",
    "bank\u3002com": "bank.com",
    "bank\uff61com": "bank.com",
    "bank\u2024com": "bank.com",
    "bank\u0660com": "bank.com",
    "bank\u0701com": "bank.com",
    "bank\ua4f8com": "bank.com",
    # other dots, which a person reads as one
    "bank\u2044com": "bank.com",
    "bank\u2215com": "bank.com",
    "bank\u29f8com": "bank.com",
    "bank\uff0fcom": "bank.com",
    "bank\u2571com": "bank.com",
    "bank\u27cbcom": "bank.com",
    "bank\u2022com": "bank.com",
    "bank\u2219com": "bank.com",
    "bank\u22c5com": "bank.com",
    "bank\u2027com": "bank.com",
    "bank\u2e31com": "bank.com",
    "bank\u2e33com": "bank.com",
    "bank\u2981com": "bank.com",
    "\u0431\u0430\u043d\u043a\u2022\u0440\u0444": "\u0431\u0430\u043d\u043a.\u0440\u0444",
    "bank\ua78fcom": "bank.com",
    "bank\u16ebcom": "bank.com",
    "bank\U00010101com": "bank.com",
    "bank\u1427com": "bank.com",
    "bank\u2804com": "bank.com",
    "bank\u2820com": "bank.com",
    "bank\u2840com": "bank.com",
    "bank\u2880com": "bank.com",
    "www\u2215bank\u2044co.uk": "www.bank.co.uk",
    # a suffix that is a site itself
    "GOV.UK": "gov.uk",
    "github.io": "github.io",
    "police.uk": "police.uk",
    # marks of direction
    "\u05d0 paypal\u200e\u2044com": "paypal.com",
    "\u05d0 paypal.c\u200eom": "paypal.com",
    # punctuation for a letter of a suffix that everybody knows
    "paypal.c@m": "paypal.com",
    "paypal.c\u2022m": "paypal.com",
    "paypal.c*m": "paypal.com",
    "paypal.n&t": "paypal.net",
    # letters and digits in another form in the suffix and after it
    "bank.\u217dom\u00bd": "bank.com",
    "paypal.\u24d2om\u2460": "paypal.com",
    "bank.\U0001f152om\u01c0Login": "bank.com",
    "paypal.com\U0001f150": "paypal.com",
    # letters and digits in another form, also after an address, and letters like signs
    "sparkasse.\U0001f173\U0001f174": "sparkasse.de",
    "amazon.\U0001f172\U0001f17e.\U0001f184\U0001f17a": "amazon.co.uk",
    "bank.\U0001f152\U0001f15e\U0001f15c": "bank.com",
    "bank.\U0001f1e9\U0001f1ea": "bank.de",
    "paypal.com\u2460": "paypal.com",
    "paypal.com\u00bd": "paypal.com",
    "paypal.com\u2116": "paypal.com",
    "paypal.com\u01c0Login": "paypal.com",
    "paypal.com\u0298Login": "paypal.com",
    # products are written in one way
    "asp.net": "asp.net",
    "ASP.NET.bank.com": "asp.net.bank.com",
    "login.ASP.NET": "login.asp.net",
    "Booking.com": "booking.com",
    # other letters
    "b\u0430nk.com": "bank.com",
    "bank.\u0441\u043em": "bank.com",
    "bank.\u0421\u041e\u041c": "bank.com",
    "b\u00e4nk.c\u00f6m": "bank.com",
    "\uff42\uff41\uff4e\uff4b.\uff43\uff4f\uff4d": "bank.com",
    "\U0001d41b\U0001d41a\U0001d427\U0001d424.com": "bank.com",
    "\u24d1\u24d0\u24dd\u24da.com": "bank.com",
    "\U0001ccd6bank.com": "abank.com",
    # with invisible characters
    "bank.\u200dcom": "bank.com",
    "ba\u00adnk.com": "bank.com",
    "bank.c\u034f\ufe0fom": "bank.com",
    "bank\u200f.com": "bank.com",
    # small capitals
    "\u0299\u1d00\u0274\u1d0b.\u1d04\u1d0f\u1d0d": "bank.com",
    "bank.\u0441\u043e\u043c": "bank.com",
    # followed by another script, without a space
    "bank.com\u767b\u5f55": "bank.com",
    "bank.com\ub85c\uadf8\uc778": "bank.com",
    "bank.com\u306e": "bank.com",
    "bank.com\u043b\u043e\u0433\u0438\u043d": "bank.com",
    "\u94f6\u884c.\u4e2d\u56fd\ub85c": "\u94f6\u884c.\u4e2d\u56fd",
    "\u0431\u0430\u043d\u043a.\u0440\u0444\u767b\u5f55": "\u0431\u0430\u043d\u043a.\u0440\u0444",
    "\uc740\ud589.\ud55c\uad6dlogin": "\uc740\ud589.\ud55c\uad6d",
    "bank.\u092d\u093e\u0930\u0924login": "bank.\u092d\u093e\u0930\u0924",
    "\u0628\u0646\u0643.\u0642\u0637\u0631\u306e": "\u0628\u0646\u0643.\u0642\u0637\u0631",
    "\u0628\u0646\u0643\u16eb\u0642\u0637\u0631": "\u0628\u0646\u0643.\u0642\u0637\u0631",
    # followed by a letter that looks like a sign
    "\uc740\ud589.\ud55c\uad6d\u01c3": "\uc740\ud589.\ud55c\uad6d",
    "bank.com\u30celogin": "bank.com",
    "bank.com\u01c3": "bank.com",
    "bank.com\u00b2": "bank.com",
    "bank.com\u00aa": "bank.com",
    "bank.com\u02bcs": "bank.com",
}


@pytest.mark.parametrize(("text", "address"), READ_AS.items())
def test_texts_that_look_like_an_address_are_found(text: str, address: str) -> None:
    assert address in addresses(text)
    assert other_address(text, "chess.example.org")


@pytest.mark.parametrize(
    ("domain", "registered"),
    [
        ("chess.example.org", "example.org"),
        ("example.org", "example.org"),
        ("accounts.bank.com.sign-in.security-check-now.attacker.org", "attacker.org"),
        ("bank.com.attacker.co.uk", "attacker.co.uk"),
        ("bank.com.attacker.github.io", "attacker.github.io"),
        ("github.io", "github.io"),
        ("www.xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("a.chess.intranet", "chess.intranet"),
        ("localhost:8000", "localhost:8000"),
    ],
)
def test_the_site_of_a_domain_is_what_somebody_has_registered(domain: str, registered: str) -> None:
    assert site(domain) == registered


def test_every_suffix_that_is_not_ascii_is_found() -> None:
    lines = (
        Path(publicsuffixlist.__file__)
        .with_name("public_suffix_list.dat")
        .read_text(encoding="utf-8")
        .split("===END ICANN DOMAINS===")[0]
        .splitlines()
    )
    suffixes = {line for line in lines if line and not line.startswith("//") and not line.isascii()}
    assert len(suffixes) > 80, "the list has them"
    assert {suffix for suffix in suffixes if not addresses(f"bank.{suffix}")} == set()


@pytest.mark.parametrize(
    "text",
    [
        "\u05d0 com\u0660.paypal", "\u0627 com\u0661.paypal", "\u0627 com\u0663\u0664.paypal", "\u0627 com\u066b.paypal",
        "\u05d0 m\u05ddc\u200f.paypal", "\u05d0 m\u05dd\u05b0c\u200f.paypal",
    ],
)  # fmt: skip
def test_an_address_that_arabic_digits_or_letters_from_right_to_left_turn_is_found(text: str) -> None:
    assert "paypal.com" in addresses(text)


@pytest.mark.parametrize("mark", ["\u200f", "\u061c"])
def test_an_address_that_is_shown_in_the_reverse_order_is_found(mark: str) -> None:
    assert addresses(f"\u05d0 com{mark}.{mark}paypal") == ("paypal.com",)
    assert addresses("com.paypal") == addresses("\u05d0 com.paypal") == (), "as they stand they are none"


@pytest.mark.parametrize(
    "text",
    [
        "Chess club", "Chess 2.0", "v1.2.3", "...", "Wait...what", "St.Gallen", "St. Pauli e.V.", "Dr. Chess",
        "S.p.A.", "U.S.A.", "J.R.R. Tolkien", "a.b", "Node.js", "Microsoft .NET", "ASP.NET", "ASP.NET Core 8.0",
        "C#/VB.NET",
        "AC/DC", "and/or", "bank/com", "1\u20442", "24\uff0f7", "\u5199\u771f\uff0fphoto", "Chess \u2022 Go",
        "\u043a\u0430\u0444\u0435\u2022\u0431\u0430\u0440",
        "\u5c07\u68cb\u3002\u68cb", "\u0661\u0660\u0660 \u0643\u062a\u0627\u0628", "hello.thing.", "`.zip`", "_.rest", "well-known.thing",
    ],
)  # fmt: skip
def test_names_with_dots_that_are_no_addresses_pass(text: str) -> None:
    assert addresses(text) == ()


def test_a_refusal_says_what_is_read_and_how_to_write_a_name_that_is_no_address() -> None:
    assert refusal("Chess 2.0", "chess.example.org") is None
    assert refusal("Come to M\u00fcller.Berlin now", "chess.example.org") == (
        "'M\u00fcller.Berlin' reads as the web address muller.berlin, and only chess.example.org is allowed; "
        "if it is none, write a space after the dot"
    )
    for name in ("1.2.3.4", "2001:db8::1", "http://localhost"):
        assert str(refusal(name)).endswith("; if it is none, write a space after each dot and colon")
    assert refusal("www.bank.com") == "'www.bank.com' reads as the web address www.bank.com; if it is none, write a space after the dot"


WORST = ["a." * 127, "\u00e9." * 127, "\u200f." * 127, ".".join(map(chr, range(0x4E00, 0x4E7F))), "com." * 63, "\u00ae.com-" * 42]
WORST += [".".join(f"{one}{end}" for one in map(chr, range(0x5D0, 0x5EA)) for end in ends) for ends in ("abcdef", ["rn1", "c\u2606m"])]
WORST += [
    "vvrncl." * 37,
    "I1l0." * 51,
    "0x1." * 64,
    "http://@" * 32,
    "2001:db8:" * 29,
    "Dr." * 84,
    "\u318d" * 254,
    "a.\u00a1x\u00a1x\u00a1x" * 32,
    "\u531a\u30edc." * 64,
    "\u597d\u3002" * 127,
    "\ufdfa\u00b7" * 125,
    "\ufdfa." * 125,
    "a" + "." * 253,
    "a.," * 84,
    "a" + "\u2022'" * 126,
    "a" + "\U0001f512" * 253,
    "\u05d0com\u0661.\u0661." * 28,
    "\ufdfa" * 254,
]


def test_characters_that_were_never_seen_cost_little() -> None:
    load()
    signs = [char for char in map(chr, range(0xA1, 0x3000)) if char.isprintable()]
    texts = [".".join(signs[number::80])[:127] + "\u00b7com".join(signs[number::160])[:127] for number in range(80)]
    start = time.process_time()
    for text in texts:
        addresses(text)
    assert (time.process_time() - start) / len(texts) < 0.01


@pytest.mark.parametrize("text", WORST)
def test_the_worst_source_costs_little(text: str) -> None:
    load()
    start = time.process_time()
    for number in range(10):
        addresses(f"{number}{text}"[:254])
    assert (time.process_time() - start) / 10 < 0.005
