"""Allowed targets of redirects and actions (docs/protocol.md, sections 5 and 6)."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from dpresence.domains import check_action, redirect_url
from dpresence.errors import BadAction, WrongValue
from dpresence.tests.support import body_of

DOMAIN = "good.example"
UID = ("Presence-UID", "p1")

# what each does where it is let through: leaves the domain, or means one host to Python and another to a browser
HOSTILE = [
    "",
    " ",
    "/",
    "good.example",
    "good.example/cb",
    "//good.example/cb",
    "//evil.example/",
    "https:good.example/cb",
    "https:/good.example/cb",
    "https:///good.example/cb",
    "https://",
    "https:///",
    "https://?good.example",
    "https://evil.example/",
    "https://evil.example/good.example",
    "https://evil.example?good.example",
    "https://evil.example/?https://good.example/",
    "https://evil.example\\@good.example/",
    "https://evil.example\\.good.example/",
    "https:\\\\good.example/",
    "https://good.example\\evil.example/",
    "https://good.example/\\evil.example",
    "https://good.example@evil.example/",
    "https://good.example:443@evil.example/",
    "https://user@good.example/",
    "https://user:secret@good.example/",
    "https://@good.example/",
    "https://good.example%40evil.example/",
    "https://good.example%2eevil.example/",
    "https://good%2eexample/",
    "https://%67ood.example/",
    "https://good.example.evil.example/",
    "https://evilgood.example/",
    "https://evil-good.example/",
    "https://sub.good.example/",
    "https://good.example./",
    "https://.good.example/",
    "https://example/",
    "https://good.example:8443/",
    "https://good.example:80/",
    "https://good.example:/",
    "https://good.example:0443/",
    "https://good.example:443:443/",
    "https://good.example:+443/",
    "https://good.example:443@/",
    "https://good.example/#",
    "https://good.example/cb#fragment",
    "https://good.example#@evil.example/",
    "https://[good.example]/",
    "https://[::1]/",
    "https://127.0.0.1/",
    "https://good.example,evil.example/",
    "https://good.example;evil.example/",
    "https://good.example /",
    " https://good.example/",
    "https://good.example/ ",
    "https://good.example/a b",
    "\thttps://good.example/",
    "ht\ntps://good.example/",
    "https://good.example/\n",
    "https://good.example/\r\nSet-Cookie: a=b",
    "https://good.example\r\n.evil.example/",
    "https://good.example/\0",
    "https://good.example\0.evil.example/",
    "https://good.example/\x7f",
    "https://g\N{CYRILLIC SMALL LETTER O}od.example/",
    "https://good\N{IDEOGRAPHIC FULL STOP}example/",
    "https://good.example\N{FULLWIDTH SOLIDUS}evil.example/",
    "https://ⓖood.example/",
    "https://good.example/ü",
    "https://xn--gd-emca.example/",
    'https://good.example/"onmouseover="x',
    "https://good.example/<script>",
    "https://good.example/`x`",
    "https://good.example/{x}",
    "https://good.example/a|b",
    "https://good.example/a^b",
    "javascript:alert(1)",
    "javascript://good.example/%0aalert(1)",
    "JaVaScRiPt://good.example/",
    "data:text/html,good.example",
    "ftp://good.example/",
    "ws://good.example/",
    "file://good.example/",
    "blob:https://good.example/",
    "view-source:https://good.example/",
    "httpss://good.example/",
    "http://good.example:443/",
    "https://good.example/" + "a" * 2028,
]


@pytest.mark.parametrize("proof", ["https", "http"])
@pytest.mark.parametrize("redirect", HOSTILE)
def test_a_redirect_that_is_not_the_domain_is_refused(redirect, proof):
    with pytest.raises(WrongValue, match=r"^redirect: a URL on good\.example") as refused:
        redirect_url(redirect, DOMAIN, proof, UID)
    assert refused.value.errno == 107


GOOD = [
    ("https://good.example", "https://good.example/?Presence-UID=p1"),
    ("https://good.example/", "https://good.example/?Presence-UID=p1"),
    ("https://good.example/cb", "https://good.example/cb?Presence-UID=p1"),
    ("https://good.example:443/cb", "https://good.example/cb?Presence-UID=p1"),
    ("HTTPS://Good.Example/Cb", "https://good.example/Cb?Presence-UID=p1"),
    ("https://good.example?a=1", "https://good.example/?a=1&Presence-UID=p1"),
    ("https://good.example/cb?", "https://good.example/cb?Presence-UID=p1"),
    ("https://good.example/cb?a=1&b=%26%3D&a=2&c", "https://good.example/cb?a=1&b=%26%3D&a=2&c&Presence-UID=p1"),
    ("https://good.example/cb?a=1&&b=+", "https://good.example/cb?a=1&&b=+&Presence-UID=p1"),
    ("https://good.example/?next=https://evil.example/?x", "https://good.example/?next=https://evil.example/?x&Presence-UID=p1"),
    ("https://good.example//evil.example/", "https://good.example//evil.example/?Presence-UID=p1"),
    ("https://good.example/@evil.example", "https://good.example/@evil.example?Presence-UID=p1"),
    ("https://good.example/a/../%2e%2e/(b);c=1~[d]'$!*,:", "https://good.example/a/../%2e%2e/(b);c=1~[d]'$!*,:?Presence-UID=p1"),
    ("https://good.example/" + "a" * 2027, "https://good.example/" + "a" * 2027 + "?Presence-UID=p1"),
]


@pytest.mark.parametrize(("redirect", "url"), GOOD)
def test_a_redirect_to_the_domain_is_rebuilt_with_its_own_query(redirect, url):
    assert redirect_url(redirect, DOMAIN, "https", UID) == url
    assert urlsplit(url).netloc == DOMAIN


@pytest.mark.parametrize(
    "earlier",
    [
        "Presence-UID=forged",
        "Presence-Error=denied",
        "Presence-UID",
        "Presence-UID=",
        "presence-uid=forged",
        "Presence%2DUID=forged",
        "%50resence-UID=forged",
        "+Presence-UID=forged",
        "%20Presence-UID%09=forged",
        "Presence-UID=forged&Presence-UID=again&Presence-Error=x",
        "x=1;Presence-UID=forged",
        "Presence-UID=forged;x=1",
    ],
)
def test_an_earlier_answer_in_the_query_is_dropped(earlier):
    assert redirect_url(f"https://good.example/cb?a=1&{earlier}&b=2", DOMAIN, "https", UID) == (
        "https://good.example/cb?a=1&b=2&Presence-UID=p1"
    )


def test_a_parameter_that_only_resembles_an_answer_stays():
    query = "XPresence-UID=1&Presence-UIDs=2&v=Presence-UID&Presence%252DUID=3"
    url = redirect_url(f"https://good.example/cb?{query}", DOMAIN, "https", UID)
    assert url == f"https://good.example/cb?{query}&Presence-UID=p1"


def test_the_new_parameter_is_encoded():
    url = redirect_url("https://good.example/cb", DOMAIN, "https", ("Presence-Error", "a b&c=d#e\r\né"))
    assert url == "https://good.example/cb?Presence-Error=a+b%26c%3Dd%23e%0D%0A%C3%A9"
    assert parse_qsl(urlsplit(url).query) == [("Presence-Error", "a b&c=d#e\r\né")]


@pytest.mark.parametrize("redirect", ["http://good.example/cb", "http://good.example:80/cb", "HTTP://good.example/cb"])
def test_plain_http_is_allowed_only_where_the_proof_was(redirect):
    assert redirect_url(redirect, DOMAIN, "http", UID) == "http://good.example/cb?Presence-UID=p1"
    with pytest.raises(WrongValue, match=r"^redirect: must be https$"):
        redirect_url(redirect, DOMAIN, "https", UID)


def test_https_is_allowed_where_the_proof_was_http():
    assert redirect_url("https://good.example/cb", DOMAIN, "http", UID) == "https://good.example/cb?Presence-UID=p1"


@pytest.mark.parametrize("domain", ["localhost:8000", "127.0.0.1:8000"])
def test_a_loopback_domain_carries_its_port_over_http(domain):
    assert redirect_url(f"http://{domain}/cb?a=1", domain, "http", UID) == f"http://{domain}/cb?a=1&Presence-UID=p1"
    host = domain.split(":")[0]
    for other in (f"http://{host}/", f"http://{host}:8001/", f"http://{host}:80000/", f"https://{domain}/", f"http://x.{domain}/"):
        with pytest.raises(WrongValue):
            redirect_url(other, domain, "http", UID)
        with pytest.raises(BadAction):
            check_action(other, domain)
    check_action(f"http://{domain}/open?x#y", domain)


@pytest.mark.parametrize(
    "action",
    [
        "", "open", "Open.Chat_1-2", "-", "javascript", "https", "good.example",
        "https://good.example", "https://good.example/", "http://good.example/path?query#fragment", "HTTPS://GOOD.example/",
        "https://good.example:443/", "http://good.example:80/", "https://sub.good.example/", "https://a.b-c.good.example/x",
        "https://xn--bcher-kva.good.example/", "https://good.example/#/route?x=(1)&y=%20", "https://1.good.example/#",
    ],
)  # fmt: skip
def test_an_action_is_nothing_a_word_or_an_url_on_the_domain(action):
    check_action(action, DOMAIN)


# on the domain all the same, or below it: only a redirect minds
FINE_AS_ACTION = {
    "good.example",
    "https://sub.good.example/",
    "https://good.example/#",
    "https://good.example/cb#fragment",
    "https://good.example#@evil.example/",
    "https://good.example/" + "a" * 2028,
}


@pytest.mark.parametrize("action", sorted(FINE_AS_ACTION))
def test_an_action_may_have_a_fragment_and_lie_below_the_domain(action):
    check_action(action, DOMAIN)


@pytest.mark.parametrize(
    "action",
    [
        *(url for url in HOSTILE if url and url not in FINE_AS_ACTION),
        "https://user@sub.good.example/",
        "https://sub.good.example.evil.example/",
        "https://sub.good.example:8443/",
        "http://sub.good.example:443/",
        "https://-sub.good.example/",
        "https://sub-.good.example/",
        "https://a..good.example/",
        *("https://xn--a.good.example/", "https://XN--0.good.example", "https://xn--.good.example/", "https://x.xn--a-ecp.good.example/"),
        "https://a_b.good.example/",
        "https://" + "a" * 64 + ".good.example/",
        "https://" + "a." * 130 + "good.example/",
        "open chat",
        "open\n",
        "open/chat",
        "öffnen",
    ],
)
def test_any_other_action_is_refused(action):
    with pytest.raises(BadAction) as refused:
        check_action(action, DOMAIN)
    assert body_of(refused.value) == {"result": "KO", "errno": 156, "error": BadAction.text}


def test_an_unreadable_domain_of_earlier_times_leads_nowhere():
    with pytest.raises(WrongValue):
        redirect_url("https://xn--a.good.example/", "xn--a.good.example", "https", UID)
    with pytest.raises(BadAction):
        check_action("https://xn--a.good.example/", "xn--a.good.example")
