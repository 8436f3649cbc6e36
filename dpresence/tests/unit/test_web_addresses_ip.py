"""IP addresses in names: every notation that browsers accept or people read, and no version, time or price (section 6)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from dpresence.web_addresses import addresses, other_address

READ_AS = {
    # IP addresses
    "1.2.3.4": "1.2.3.4",
    "Log in at 1.2.3.4:8080/bank": "1.2.3.4",
    "https://255.255.255.255.": "255.255.255.255",
    "\uff11.\uff12.\uff13.\uff14": "1.2.3.4",
    "1\u30022\u20243\uff614": "1.2.3.4",
    "01.002.003.04": "1.2.3.4",
    "1.2.3.4.login": "1.2.3.4",
    ".1.2.3.4": "1.2.3.4",
    "Log in -1.2.3.4": "1.2.3.4",
    "Log in\u20261.2.3.4": "1.2.3.4",
    "1\u28402\u28403\u28404": "1.2.3.4",
    "192.l68.O.I": "192.168.0.1",
    "\u0661.2.3.4": "1.2.3.4",
    "[2OO1:db8::1]": "2001:db8::1",
    "[2001\ua789db8\ua789\ua7891]": "2001:db8::1",
    "[2001\u02d0db8\u02d0\u02d01]": "2001:db8::1",
    "[2001\u0589db8\u0589\u05891]": "2001:db8::1",
    "[2001\u2236db8\u2236\u22361]": "2001:db8::1",
    "[::1]": "::1",
    "http://[2001:DB8::0001]:8080/": "2001:db8::1",
    "[::ffff:1.2.3.4]": str(ip_address("::ffff:102:304")),  # Python 3.13 writes it with dots
    "[fe80::1%25eth0]": "fe80::1",
    "\uff3b2001:db8::1\uff3d": "2001:db8::1",
    # numbers of other scripts, as they are read
    "\uff11\uff12\uff17.0.\uff10.\uff11": "127.0.0.1",
    "\u0661\u0662\u0667.\u0660.\u0660.\u0661": "127.0.0.1",
    "\u06f1\u06f2\u06f7.\u06f0.\u06f0.\u06f1": "127.0.0.1",
    "\u0967\u0968\u096d.\u0966.\u0966.\u0967": "127.0.0.1",
    "\u0e51\u0e52\u0e57.\u0e50.\u0e50.\u0e51": "127.0.0.1",
    "\u2460\u2461\u2466.0.0.1": "127.0.0.1",
    "\U0001d7d9\U0001d7da\U0001d7df.0.0.1": "127.0.0.1",
    "\u2488\u2489\u248a4": "1.2.3.4",
    "1\ufe0f\u20e3.2\ufe0f\u20e3.3\ufe0f\u20e3.4\ufe0f\u20e3": "1.2.3.4",
    # other notations of numbers
    "0x7f.1": "127.0.0.1",
    "0X7F.0.1": "127.0.0.1",
    "0x7f.0x0.0x0.0x1": "127.0.0.1",
    "127.0x0.0.1": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "0177.0000.0000.0001": "127.0.0.1",
    "1.2.3.08": "1.2.3.8",
    # fewer numbers, where they are no version
    "http://127.1": "127.0.0.1",
    "HTTPS://127.0.1/login": "127.0.0.1",
    "http://bank@127.1": "127.0.0.1",
    "http://2130706433": "2130706433",
    "http://0x7f000001/": "0x7f000001",
    "http://bank@017700000001": "017700000001",
    "127.1:8080": "127.0.0.1",
    "127.0.1:8443/login": "127.0.0.1",
    "2130706433:8080": "127.0.0.1",
    "0x7f000001:8080": "127.0.0.1",
    # without brackets
    "2001:db8::1": "2001:db8::1",
    "Log in at 2001:DB8::1.": "2001:db8::1",
    "2001:db8::1: log in": "2001:db8::1",
    "(2606:4700:4700::1111)": "2606:4700:4700::1111",
    "2001:db8:0:0:0:0:0:1": "2001:db8::1",
    "2OOl:db8::l": "2001:db8::1",
    "2001\ua789db8\ua789\ua7891": "2001:db8::1",
    "\uff12\uff10\uff10\uff11\uff1adb8\uff1a\uff1a1": "2001:db8::1",
    "2001:db8::1.2.3.4": str(ip_address("2001:db8::102:304")),
    "fe80::1%eth0": "fe80::1",
    "::1": "::1",
    "::FFFF:7F00:1": str(ip_address("::ffff:7f00:1")),
    "::ffff:127.0.0.1": "127.0.0.1",
    # beside letters of scripts without spaces, and of other alphabets
    "\u8bf7\u8bbf\u95ee127.0.0.1\u767b\u5f55": "127.0.0.1",
    "\u043d\u0430127.0.0.1": "127.0.0.1",
    "\u043d\u04302001:db8::1": "2001:db8::1",
    # with marks of direction, which are not seen
    "\u05d0 127\u200e.0.0.1": "127.0.0.1",
    "\u05d0 [2001\u200e:db8::1]": "2001:db8::1",
    "\u05d0 1\u200f.0\u200f.0\u200f.127": "1.0.0.127",
    # with a letter like a sign, or in another form, after it
    "1.2.3.4\u01c3": "1.2.3.4",
    "1.2.3.4\u02bcs": "1.2.3.4",
    "1.2.3.4\u00bd": "1.2.3.4",
    # any other host after a scheme
    "http://localhost": "localhost",
    "https://\u94f6\u884c\u3002\u4e2d\u56fd": "\u94f6\u884c",
    "https://bank:8080/login": "bank",
    "http://me@bank/": "bank",
}


@pytest.mark.parametrize(("text", "address"), READ_AS.items())
def test_an_ip_address_is_found_in_any_notation(text: str, address: str) -> None:
    assert address in addresses(text)
    assert other_address(text, "chess.example.org")


@pytest.mark.parametrize(
    "text",
    [
        "Half-Life 2.5", "10.30", "3.1", "12:30:45", "Chess 127.1", "Ubuntu 22.04", "Python 3.12.1", "24.12.2024", "24.12.2024 18:30",
        "2024-10-12T10:30:45", "2024:10:12", "10.30-12.00", "4.5:1", "16:9", "1920:1080", "1.0x2.0", "2.0x4", "10.000.000", "1.000.000,50",
        "192.168", "0xCAFE", "0xDEADBEEF", "0x10:2024", "EN 1.4301:2020", "Half-Life 2.5:1999",
        "007.5", "Tel. 2130706433", "20241012:1830", "9.99/7", "1.2.3.L", "1.2.i.4",
        "v1.2.3.4", "release1.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.256", "I.O.I.O", "Apollo.1.2.3", "Release.1.2.3.4", "release-1.2.3.4",
        "\u0661\u0660.\u0665", "\u0663.\u0661\u0664", "\uff12.\uff15", "\u0967.\u0968", "\u0661\u0660:\u0663\u0660",
        "std::vector", "Ada::Beef", "Chapter 3::4", "Level 1::2", "cafe::babe", "00:1b:44:11:3a:b7", "10:30::", "Ace::1", "2024::10",
        "[1]", "[a:b]", "[12:30]", "http://", "What is https:// ?", "http://--", "chess://2.5", "http://chess.example.org",
    ],
)  # fmt: skip
def test_versions_times_prices_and_names_in_code_are_no_ip_addresses(text: str) -> None:
    assert not other_address(text, "chess.example.org")
