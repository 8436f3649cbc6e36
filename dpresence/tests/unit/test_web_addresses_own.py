"""The own domain in a name: in its own letters, with hosts below it, and nothing that reads as another domain (section 6)."""

from __future__ import annotations

import pytest

from dpresence.web_addresses import other_address


@pytest.mark.parametrize(
    "name",
    [
        "chess.example.org",
        "chess.example.org-club",
        "Chess.Example.ORG",
        "www.chess.example.org",
        "Chess (chess.example.org)",
        "\u05d0 chess.example.org",
    ],
)
def test_the_own_domain_and_hosts_below_it_are_no_others(name: str) -> None:
    assert not other_address(name, "chess.example.org")
    assert other_address(name, "go.example.org")


def test_the_own_domain_may_be_written_in_its_own_letters() -> None:
    own = "xn--bcher-kva.example"
    assert not any(other_address(name, own) for name in ("B\u00fccher.example", "www.b\u00fccher.example", own, "B\u00dcCHER.EXAMPLE"))
    for name in ("bucher.example", "xb\u00fccher.example", "b\u00fccher.example.com", "b\u00fccher.example bank.com"):
        assert other_address(name, own)


@pytest.mark.parametrize(
    ("name", "own", "found"),
    [
        ("\u0430\u0440\u0440\u04cf\u0435.com", "xn--80ak6aa92e.com", "appie.com"),
        ("www.\u0430\u0440\u0440\u04cf\u0435.com", "xn--80ak6aa92e.com", "www.appie.com"),
        ("\u0251pple.com", "xn--pple-poc.com", "apple.com"),
    ],
)
def test_the_own_domain_may_not_be_written_in_letters_that_look_like_another_domain(name: str, own: str, found: str) -> None:
    assert other_address(name, own) == found
    assert other_address(own, own) is None


@pytest.mark.parametrize("name", ["app.attacker.org", "www.app.attacker.org", "attacker.org", "v2.api.attacker.org"])
def test_a_subdomain_of_the_own_domain_may_have_several_labels(name: str) -> None:
    assert other_address(name, "attacker.org") is None


@pytest.mark.parametrize("name", ["paypal.com.attacker.org", "paypal.com.sign-in.attacker.org", "paypal.com-login.attacker.org"])
def test_an_address_before_the_own_domain_is_another_one(name: str) -> None:
    assert other_address(name, "attacker.org") == name


@pytest.mark.parametrize(
    "name", ["notchess.example.org", "example.org", "chess.example.org.evil.example", "chess.example.org evil.example"]
)
def test_a_longer_shorter_or_second_address_is_another_one(name: str) -> None:
    assert other_address(name, "chess.example.org")


@pytest.mark.parametrize("domain", ["ab--cd.xn--p1ai", "ab--xn--c.com", "1--2.xn--bcher-kva.example", "xn--bcher-kva.ab--cd.example"])
def test_a_domain_with_two_hyphens_may_have_any_name(domain: str) -> None:
    assert not other_address(f"Chess {domain}", domain)
    assert other_address("bank.com", domain) == "bank.com"
