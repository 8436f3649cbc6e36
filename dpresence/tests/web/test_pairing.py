"""Pairing of devices without a browser, and their credentials (sections 2 and 6; RFC 8628)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dpresence.service.pairing import CODE_LETTERS, canonical_code
from dpresence.service.qr_codes import QrCodes
from dpresence.tests.support import FakeClock
from dpresence.tests.web.pairing import ANN, BOB, LAMP, begin, enter, poll
from dpresence.tests.web.support import Browser, World, ko, refusal

NO_CODE = (404, ko(110, "code: there is no such code, or it has expired"))


def incomplete(details: str, retry_after: int | None = None) -> tuple[int, dict[str, Any]]:
    more = {} if retry_after is None else {"retry_after": retry_after}
    texts = {
        "authorization_pending": "the user has not answered yet",
        "slow_down": "the device polls too often",
        "access_denied": "the user has refused it",
        "expired_token": "device_code: is unknown, has expired, or its credential is in use",
    }
    return 400, ko(143, f"the pairing is not complete: {texts[details]}", details=details, **more)


# -- the device


def test_a_pairing_begins_with_two_codes_and_the_address_of_a_page(world: World) -> None:
    codes = begin(world)
    uri = "http://127.0.0.1:8282/pair"
    shown = codes["user_code"]
    assert re.fullmatch(rf"[{CODE_LETTERS}]{{4}}-[{CODE_LETTERS}]{{4}}", shown)
    assert len(codes.pop("device_code")) == 43
    complete = f"{uri}?code={shown}"
    expected = {"user_code": shown, "verification_uri": uri, "verification_uri_complete": complete, "expires_in": 600, "interval": 5}
    assert codes == expected


@pytest.mark.parametrize(
    ("body", "errno", "error"),
    [
        ({"device": "lamp"}, 108, "client: is missing"),
        ({**LAMP, "device": "a b"}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ({**LAMP, "client": ""}, 107, "client: 1 to 64 printable characters"),
        (
            {**LAMP, "client": "Your bank.com"},
            107,
            "client: 'bank.com' reads as the web address bank.com; if it is none, write a space after the dot",
        ),
        ({**LAMP, "client": "a\u202eb"}, 107, "client: 1 to 64 printable characters, without U+202E, which cannot be seen or is not text"),
        ({**LAMP, "scope": "all"}, 108, "scope: is not known here"),
    ],
)
def test_wrong_fields_are_named(world: World, body: dict[str, str], errno: int, error: str) -> None:
    assert refusal(world.browser()("POST", "/pair", body)) == (400, ko(errno, error))


def test_the_device_gets_a_credential_when_the_user_has_allowed_it(world: World) -> None:
    codes = begin(world)
    assert poll(world, codes["device_code"]) == incomplete("authorization_pending", 5)
    ann = world.person(ANN)
    ann("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    world.clock.advance(5)
    status, body = poll(world, codes["device_code"])
    assert (status, set(body)) == (200, {"credential", "email", "device"})
    assert re.fullmatch(r"device:[A-Za-z0-9_-]{43}", body["credential"])
    assert enter(world, body["credential"])[1] == {"result": "OK"}


def test_a_device_that_polls_too_often_is_asked_to_slow_down(world: World) -> None:
    codes = begin(world)
    assert [poll(world, codes["device_code"]) for _ in range(2)] == [incomplete("authorization_pending", 5)] * 2
    assert poll(world, codes["device_code"]) == incomplete("slow_down", 5)
    world.clock.advance(5)
    assert poll(world, codes["device_code"]) == incomplete("authorization_pending", 5)


def test_a_refused_device_gets_no_credential(world: World) -> None:
    codes = begin(world)
    world.person(ANN)("POST", "/pair/answer", {"code": codes["user_code"], "allow": False})
    assert poll(world, codes["device_code"]) == incomplete("access_denied")


def test_codes_expire_after_ten_minutes(world: World) -> None:
    codes, ann = begin(world), world.person(ANN)
    world.clock.advance(600)
    assert refusal(ann("GET", f"/pair?code={codes['user_code']}")) == NO_CODE
    assert refusal(ann("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})) == NO_CODE
    assert poll(world, codes["device_code"]) == incomplete("expired_token")
    assert poll(world, "x" * 43) == incomplete("expired_token")


def test_a_credential_whose_answer_was_lost_is_replaced_until_it_is_used(world: World) -> None:
    codes = begin(world)
    world.person(ANN)("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    first, second = (poll(world, codes["device_code"])[1]["credential"] for _ in range(2))
    assert enter(world, first)[1] == ko(34, "Invalid assertion")
    assert enter(world, second)[1] == {"result": "OK"}
    world.clock.advance(10)
    assert poll(world, codes["device_code"]) == incomplete("expired_token")


@pytest.mark.parametrize("used", [False, True])
def test_a_device_that_was_signed_out_does_not_come_back_by_the_same_pairing(world: World, used: bool) -> None:
    codes, ann = begin(world), world.person(ANN)
    ann("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    credential = poll(world, codes["device_code"])[1]["credential"]
    if used:
        assert enter(world, credential)[1] == {"result": "OK"}
    assert ann("DELETE", f"/devices/{LAMP['device']}").status_int == 204
    world.clock.advance(10)
    assert poll(world, codes["device_code"]) == incomplete("expired_token")


def test_a_pairing_that_was_allowed_can_be_taken_back_before_its_device_has_the_credential(world: World) -> None:
    codes, ann = begin(world), world.person(ANN)
    assert refusal(ann("DELETE", f"/devices/{LAMP['device']}"))[1]["errno"] == 110, "nobody has answered"
    ann("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    assert refusal(world.person(BOB)("DELETE", f"/devices/{LAMP['device']}"))[1]["errno"] == 110
    assert ann("DELETE", f"/devices/{LAMP['device']}").status_int == 204
    assert poll(world, codes["device_code"]) == incomplete("expired_token")
    assert refusal(ann("DELETE", f"/devices/{LAMP['device']}"))[1]["errno"] == 110


def test_a_device_does_not_take_its_name_back_from_one_that_was_paired_later(world: World) -> None:
    earlier, later = begin(world), begin(world)
    for codes in (earlier, later):
        world.person(ANN)("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
        assert poll(world, codes["device_code"])[0] == 200
    world.clock.advance(10)
    assert poll(world, earlier["device_code"]) == incomplete("expired_token")
    status, body = poll(world, later["device_code"])
    assert (status, enter(world, body["credential"])[1]) == (200, {"result": "OK"})


def test_an_address_can_begin_sixty_pairings_an_hour(make_world: Callable[..., World]) -> None:
    world = make_world(identity__pairings_per_hour="2")
    for _ in range(2):
        begin(world)
    status, body = refusal(world.browser("192.0.2.7")("POST", "/pair", LAMP))
    assert (status, body["errno"], body["error"]) == (429, 117, "too many pairings from this address")
    assert world.browser("192.0.2.8")("POST", "/pair", LAMP).status_int == 201


def test_the_addresses_of_one_ipv6_network_share_the_limit(make_world: Callable[..., World]) -> None:
    world = make_world(identity__pairings_per_hour="2")
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1")
    assert [world.browser(address)("POST", "/pair", LAMP).status_int for address in addresses] == [201, 201, 429, 201]


# -- the user


def test_the_user_learns_which_device_asks_and_from_where(world: World) -> None:
    codes, ann = begin(world), world.person(ANN)
    for entered in (codes["user_code"], codes["user_code"].lower().replace("-", " ")):
        body = ann("GET", f"/pair?code={entered}").json
        assert body.pop("expires_at") > world.clock.now()
        assert body == {"device": "lamp", "client": "Example lamp", "address": "192.0.2.7"}


def test_an_answer_needs_a_session_and_its_token(world: World) -> None:
    codes = begin(world)
    body = {"code": codes["user_code"], "allow": True}
    assert refusal(world.browser()("POST", "/pair/answer", body)) == (401, ko(104, "Cookie: dpresence, which a sign-in sets"))
    assert world.browser()("POST", "/pair/answer", body, **world.authorization(ANN)).status_int == 401
    ann = world.person(ANN)
    assert refusal(ann("POST", "/pair/answer", body, **{"X-CSRF-Token": "x"}))[1]["errno"] == 121
    assert poll(world, codes["device_code"]) == incomplete("authorization_pending", 5)


def test_a_code_is_answered_once(world: World) -> None:
    codes = begin(world)
    world.person(ANN)("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    assert refusal(world.person(BOB)("POST", "/pair/answer", {"code": codes["user_code"], "allow": True})) == NO_CODE
    assert poll(world, codes["device_code"])[1]["email"] == ANN


def test_an_account_can_enter_twenty_wrong_codes_an_hour(make_world: Callable[..., World]) -> None:
    world = make_world(channels__failures_per_minute="100000")
    codes, ann = begin(world), world.person(ANN)
    for n in range(20):
        call = ("GET", "/pair?code=BBBB-BBBB") if n % 2 else ("POST", "/pair/answer", {"code": "BBBB-BBBB", "allow": True})
        assert refusal(ann(*call)) == NO_CODE
    right = {"code": codes["user_code"], "allow": True}
    assert refusal(ann("GET", f"/pair?code={codes['user_code']}"))[1]["errno"] == 117
    assert refusal(ann("POST", "/pair/answer", right))[1]["errno"] == 117
    assert world.person(BOB)("POST", "/pair/answer", right).status_int == 200


def page_of(ann: Browser, path: str) -> Any:
    return ann("GET", path, Accept="text/html")


def answer_form(ann: Browser, code: str, name: str) -> Any:
    token = re.search(r'name="csrf" value="([^"]+)"', page_of(ann, f"/pair?code={code}").text)
    assert token
    return lambda: ann.form("/pair/answer", {"csrf": token[1], "code": code, name: "1"})


@pytest.mark.parametrize(("name", "outcome", "text"), [("allow", "allowed", "is connected"), ("deny", "denied", "is not connected")])
def test_the_page_asks_and_its_form_answers(world: World, name: str, outcome: str, text: str) -> None:
    codes, ann = begin(world), world.person(ANN)
    page = page_of(ann, f"/pair?code={codes['user_code']}")
    assert "Example lamp" in page.text and "192.0.2.7" in page.text and codes["user_code"] in page.text
    send = answer_form(ann, codes["user_code"], name)
    assert send().status_int == 429, "nobody reads a page in less than a second"
    world.clock.advance(1)
    sent = send()
    assert (sent.status_int, sent.headers["Location"].partition("8282")[2]) == (303, f"/pair?answered={outcome}")
    assert text in page_of(ann, f"/pair?answered={outcome}").text
    assert poll(world, codes["device_code"])[0] == (200 if name == "allow" else 400)


def test_an_answer_that_is_refused_leads_back_to_the_question(world: World) -> None:
    code, ann = begin(world)["user_code"], world.person(ANN)
    ann.web.extra_environ["HTTP_ACCEPT"] = "text/html"
    send = answer_form(ann, code, "allow")
    assert f'href="/pair?code={code}">Try again</a>' in send().text
    world.clock.advance(12 * 3600)
    ended = send()
    assert ended.status_int == 401 and f'href="/login?next=%2Fpair%3Fcode%3D{code}">Sign in</a>' in ended.text


def test_the_page_says_that_a_code_is_wrong(world: World) -> None:
    page = page_of(world.person(ANN), "/pair?code=<b>B")
    assert page.status_int == 404 and "There is no such code" in page.text and "&lt;b&gt;B" in page.text


def test_the_page_leads_to_the_sign_in_and_back(world: World) -> None:
    page = world.browser()("GET", "/pair?code=BBBB-CCCC", Accept="text/html")
    assert page.status_int == 303 and page.headers["Location"].endswith("/login?next=%2Fpair%3Fcode%3DBBBB-CCCC")


def test_the_qr_code_is_a_picture_or_text_and_reveals_nothing(world: World) -> None:
    picture = world.browser()("GET", "/pair/qr?code=BBBB-CCCC")
    assert (picture.content_type, picture.text[:4]) == ("image/svg+xml", "<svg")
    text = world.browser()("GET", "/pair/qr?code=bbbbcccc", Accept="text/plain")
    assert text.content_type == "text/plain" and set(text.text) <= set("█▀▄ \n")
    assert refusal(world.browser()("GET", "/pair/qr?code=B"))[0] == 404


def test_an_address_has_twice_as_many_qr_codes_drawn_as_it_may_begin_pairings(make_world: Callable[..., World]) -> None:
    world = make_world(identity__pairings_per_hour="1")

    def draw(code: str, address: str = "2001:db8::1", accept: str = "image/svg+xml") -> Any:
        return world.browser(address)("GET", f"/pair/qr?code={code}", Accept=accept)

    first = draw("BBBB-BBBB")
    assert [draw(code).status_int for code in ("BBBB-BBBB", "bbbbbbbb", "BBBB-BBBC")] == [200, 200, 200]
    assert refusal(draw("BBBB-BBBD", "2001:db8::2")) == (429, ko(117, "too many QR codes for this address", retry_after=1800))
    assert draw("BBBB-BBBB").body == first.body, "one that was drawn a short time ago costs nothing"
    assert draw("BBBB-BBBB", accept="text/plain").status_int == 429
    assert draw("BBBB-BBBD", "2001:db8:0:1::1").status_int == 200


def test_few_qr_codes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpresence.service.qr_codes.MAX_PICTURES", 2)
    codes = QrCodes(100, FakeClock())
    pictures = [codes.picture(f"https://example.org/{letter}", False, "192.0.2.1") for letter in "abac"]
    assert len(set(pictures)) == 3 and pictures[0] == pictures[2]
    assert [url[-1] for url, _ in codes._kept] == ["a", "c"]


def test_a_code_that_was_entered_is_read_whatever_its_form() -> None:
    assert canonical_code(" wdjb-mjht ") == "WDJBMJHT"
    assert canonical_code("aeiou 123") == ""
