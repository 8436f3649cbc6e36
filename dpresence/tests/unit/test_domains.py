import pytest

from dpresence.domains import check_domain, loopback_port
from dpresence.errors import WrongValue
from dpresence.tests.support import body_of

LONGEST_LABEL = "a" * 63
LONGEST = ".".join(["a" * 49] * 5) + ".io"  # 252 characters


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("app.example.org", "app.example.org"),
        ("App.EXAMPLE.Org", "app.example.org"),
        ("example.org", "example.org"),
        ("1and1.com", "1and1.com"),
        ("a-b.c--d.org", "a-b.c--d.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("example.xn--p1ai", "example.xn--p1ai"),
        ("co.uk", "co.uk"),
        (f"{LONGEST_LABEL}.org", f"{LONGEST_LABEL}.org"),
        (f"a{LONGEST}", f"a{LONGEST}"),
    ],
)
def test_a_host_name_is_a_domain_in_lower_case(text, domain):
    assert check_domain(text, allow_loopback=False) == domain
    assert check_domain(text, allow_loopback=True) == domain


NOT_DOMAINS = [
    "", " ", ".", "localhost", "example", ".example.org", "example.org.", "example..org", "-a.example.org", "a-.example.org",
    "a.-org", "a.org-", "a_b.example.org", "*.example.org", " example.org", "example.org ", "example.org\n", "example.org\r\nX: y",
    "exa mple.org", "example.org\0", "example.org:443", "example.org:", "https://example.org", "//example.org", "example.org/",
    "example.org/path", "user@example.org", "example.org?x", "example.org#x", "example.org\\x", "example.org,example.net", "%65xample.org",
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "10.0.0.1", "1.2.3.4.5", "example.1com", "example.123",
    "[::1]", "::1", "::ffff:127.0.0.1", "[::1].org", "xn--.org", "example.xn--",
    f"{LONGEST_LABEL}a.org", f"aa{LONGEST}", "a." * 200 + "org",
]  # fmt: skip


@pytest.mark.parametrize("allow_loopback", [False, True])
@pytest.mark.parametrize("text", NOT_DOMAINS)
def test_anything_else_is_refused(text, allow_loopback):
    with pytest.raises(WrongValue, match=r"^domain: a host name such as app\.example\.org") as refused:
        check_domain(text, allow_loopback)
    assert body_of(refused.value) == {
        "result": "KO",
        "errno": 107,
        "error": "domain: a host name such as app.example.org, without scheme, port or path",
    }


# those with a name in them turn into ASCII when lower-cased or normalised
@pytest.mark.parametrize(
    "text",
    [
        "bücher.example",
        "例え.jp",
        "example.中国",
        "\N{KELVIN SIGN}.example.org",
        "example\N{IDEOGRAPHIC FULL STOP}org",
        "12\N{FULLWIDTH DIGIT SEVEN}.0.0.1",
        "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}.org",
    ],
)
def test_a_name_that_is_not_ascii_is_asked_for_as_xn(text):
    with pytest.raises(WrongValue, match=r"^domain: .*xn--"):
        check_domain(text, allow_loopback=True)


# some browsers parse these, others do not, and a page that hands one to ``new URL`` would stop there
@pytest.mark.parametrize(
    "label",
    ["xn--a", "xn--0", "xn--a-ecp", "xn--zn7c", "xn--a-yoc", "xn--ngb6iyr", "xn--bank-xyz123", "xn--tdi", "xn--i-7iq", "xn--xn--a--gua"],
)
def test_an_xn_label_that_not_every_browser_can_parse_is_refused(label):
    for text in (f"{label}.example.org", f"app.{label.upper()}.org", f"example.{label}"):
        with pytest.raises(WrongValue, match=r"^domain: each label that begins with xn-- must be valid by IDNA 2008$"):
            check_domain(text, allow_loopback=False)


@pytest.mark.parametrize("text", ["localhost:1", "localhost:8000", "127.0.0.1:8000", "127.0.0.1:65535"])
def test_a_loopback_domain_is_for_development_only(text):
    assert check_domain(text, allow_loopback=True) == text
    with pytest.raises(WrongValue):
        check_domain(text, allow_loopback=False)


@pytest.mark.parametrize(
    "text",
    [
        "localhost", "localhost:", "localhost:0", "localhost:080", "localhost:65536", "localhost:+80", "localhost: 80", "localhost:80 ",
        "localhost:8_0", "localhost:80\n", "localhost:123456", "127.0.0.1", "127.0.0.2:80", "127.1:80", "0.0.0.0:80", "[::1]:80",
        "a.localhost:80", "localhost.:80", "localhost:80/x", "x@localhost:80", "example.org:80", "10.0.0.1:80",
    ],
)  # fmt: skip
def test_a_loopback_domain_is_spelled_in_one_way(text):
    with pytest.raises(WrongValue):
        check_domain(text, allow_loopback=True)


def test_digits_of_other_scripts_are_no_port():
    assert loopback_port("localhost:٨٠") is None
    assert loopback_port("localhost:8080") == 8080
    assert loopback_port("app.example.org") is None
