"""Incoming messages: which are refused, in which order and with which text.

The texts are made from msgspec's error texts, so these tests fail with a version of msgspec that words them differently.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpresence.errors import NotAnObject, Refused
from dpresence.messages import (
    Acknowledge,
    ApplicationChange,
    Authenticate,
    DevelopmentAssertion,
    Empty,
    GrantChange,
    Login,
    Logout,
    NewApplication,
    NewNotification,
    NewNotifications,
    Notify,
    Refusal,
    StatusUpdate,
    action_of,
    encode,
    id_of,
    parse,
    try_parser,
)
from dpresence.tests.hypothesis_settings import UNTIMED

KINDS: list[Any] = [
    StatusUpdate,
    Acknowledge,
    Authenticate,
    Notify,
    NewNotifications,
    Empty,
    Login,
    Logout,
    ApplicationChange,
    NewApplication,
    GrantChange,
    DevelopmentAssertion,
]
STRUCTS = [kind for kind in KINDS if isinstance(kind, type)]


def refused(kind: Any, data: str | bytes | dict[str, Any] | list[Any]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        parse(kind, data if isinstance(data, str | bytes) else json.dumps(data))
    return caught.value.errno, caught.value.error


@pytest.mark.parametrize(
    ("kind", "data", "errno", "error"),
    [
        (StatusUpdate, {"email": "a" * 255, "status": "online"}, 107, "email: an e-mail address of up to 254 characters"),
        (StatusUpdate, {"email": "a", "status": None}, 107, "status: one of online, unavailable, offline"),
        (StatusUpdate, {"email": "a", "status": "Online"}, 107, "status: one of online, unavailable, offline"),
        (StatusUpdate, {"email": "a", "status": "online", "assertion": []}, 107, "assertion: an assertion, as text"),
        (StatusUpdate, {"email": "a", "status": "online", "device": "x" * 65}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        (StatusUpdate, {"email": "a", "status": "online", "device": "\u00e4"}, 107, "device: 1 to 64 of A-Z a-z 0-9 . _ : -"),
        (StatusUpdate, {"email": "a", "status": "online", "ticket": "true"}, 107, "ticket: true or false"),
        (
            StatusUpdate,
            {"email": "a", "status": "online", "id": True},
            107,
            "id: a string of up to 64 characters, or an integer of 64 bits",
        ),
        (
            StatusUpdate,
            {"email": "a", "status": "online", "id": 2**63},
            107,
            "id: a string of up to 64 characters, or an integer of 64 bits",
        ),
        (StatusUpdate, {"email": "a", "status": "online", "id": {}}, 107, "id: a string of up to 64 characters, or an integer of 64 bits"),
        (StatusUpdate, {"status": "online"}, 108, "email: is missing"),
        (StatusUpdate, {"email": "a"}, 108, "status: is missing"),
        (StatusUpdate, {"email": "a", "status": "online", "x": 1}, 108, "x: is not known here"),
        (StatusUpdate, {"email": "a", "status": "online", "x" * 1000: 1}, 108, "x" * 64 + ": is not known here"),
        (StatusUpdate, {"email": "a", "status": "online", "a\nb": 1}, 108, "a\nb: is not known here"),
        (Acknowledge, {"action": "ack"}, 108, "notifications: is missing"),
        (Acknowledge, {"action": "ack", "notifications": {}}, 107, "notifications: a list of notification ids"),
        (Acknowledge, {"action": "ack", "notifications": [5]}, 107, "notifications[0]: a list of notification ids"),
        (Acknowledge, {"action": "ack", "notifications": ["x" * 65]}, 107, "notifications[0]: a list of notification ids"),
        (Acknowledge, {"action": "ack", "notifications": ["x"] * 10001}, 107, "notifications: a list of notification ids"),
        (Authenticate, {"action": "auth", "key": "x" * 257}, 107, "key: an API key, as text"),
        (Authenticate, {"action": "auth", "key": "x", "since": "x" * 4097}, 107, "since: a cursor, as text"),
        (Notify, {"action": "notify", "notifications": 5}, 107, "notifications: a list of 1 to 100 notifications"),
        (Notify, {"action": "notify", "notifications": [{"puid": "p"}] * 101}, 107, "notifications: a list of 1 to 100 notifications"),
        (Notify, {"action": "notify", "notifications": ["p"]}, 107, "notifications[0]: an object"),
        (Notify, {"action": "notify", "notifications": [{"puid": "p", "x": 1}]}, 108, "notifications[0].x: is not known here"),
        (Notify, {"action": "notify", "notifications": [{"puid": "p"}, {}]}, 108, "notifications[1].puid: is missing"),
        (
            Notify,
            {"action": "notify", "notifications": [{"puid": "p", "source": 5}]},
            107,
            "notifications[0].source: text of up to 254 characters",
        ),
        (
            Notify,
            {"action": "notify", "notifications": [{"puid": "p", "source": "x" * 255}]},
            151,
            "notifications[0].source: text of up to 254 characters",
        ),
        (
            Notify,
            {"action": "notify", "notifications": [{"puid": "p", "ttl": "1"}]},
            153,
            "notifications[0].ttl: whole seconds from 0 to 2592000",
        ),
        (Notify, {"action": "notify", "notifications": [{"puid": "\0"}]}, 107, "notifications[0].puid: text without NUL characters"),
        (NewNotifications, {}, 106, "expected one JSON list"),
        (NewNotifications, "5", 106, "expected one JSON list"),
        (NewNotifications, "[", 106, "not JSON: expected one JSON list"),
        (NewNotifications, [], 107, "expected a list of 1 to 100 notifications"),
        (NewNotifications, [{"puid": 5}], 107, "notifications[0].puid: a PUID, as text"),
        (NewNotifications, [{"puid": "p", "message": "x" * 513}], 151, "notifications[0].message: text of up to 512 characters"),
        (NewNotifications, [{"puid": "p", "action": "x" * 513}], 151, "notifications[0].action: text of up to 512 characters"),
        (NewNotifications, [{"puid": "p", "ttl": 2592001}], 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
        (Empty, {"x": 1}, 108, "x: is not known here"),
        (Login, {}, 108, "assertion: is missing"),
        (Login, {"assertion": 5}, 107, "assertion: an assertion, as text"),
        (Logout, {"everywhere": 1}, 107, "everywhere: true or false"),
        (GrantChange, {"pause": True}, 108, "pause: is not known here"),
        (GrantChange, {"paused": "no"}, 107, "paused: true or false"),
        (NewApplication, {"name": "a"}, 108, "domain: is missing"),
        (NewApplication, {"name": "", "domain": "a"}, 107, "name: 1 to 64 printable characters"),
        (
            NewApplication,
            {"name": "\u202e", "domain": "a"},
            107,
            "name: 1 to 64 printable characters, without U+202E, which cannot be seen or is not text",
        ),
        (NewApplication, {"name": "a", "domain": 5}, 107, "domain: a host name of up to 253 characters"),
        (ApplicationChange, {"description": "x" * 501}, 107, "description: up to 500 printable characters"),
        (ApplicationChange, {"description": None}, 107, "description: up to 500 printable characters"),
        (ApplicationChange, {"owner": "me"}, 108, "owner: is not known here"),
        (DevelopmentAssertion, {"email": None}, 107, "email: an e-mail address of up to 254 characters"),
    ],
)
def test_a_refusal_names_the_field_and_what_is_allowed(kind: Any, data: Any, errno: int, error: str) -> None:
    assert refused(kind, data) == (errno, error)


def is_json(data: str | bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("kind", STRUCTS)
@pytest.mark.parametrize(
    "data",
    [
        "",
        " ",
        "{",
        "[]",
        "5",
        "null",
        '"x"',
        "nonsense",
        "{'a':1}",
        '{"a":1,}',
        '{"a":NaN}',
        '{"id":Infinity}',
        '{"id":-Infinity}',
        "{}{}",
        '{"id":"\\ud800"}',
        '{"id":"\x01"}',
        b'{"id":"\xff"}',
        b"\xef\xbb\xbf{}",
        "{\x00}",
        "[" * 100_000,
        '{"id":' * 100_000,
        "x" * 16384,
    ],
    ids=lambda data: repr(data)[:16],
)
def test_input_other_than_one_json_object_is_106(kind: Any, data: str | bytes) -> None:
    errno, error = refused(kind, data)
    assert (errno, error.removeprefix("not JSON: ")) == (106, "expected one JSON object")
    assert error.startswith("not JSON") == (not is_json(data))


@pytest.mark.parametrize("kind", STRUCTS)
def test_a_deep_value_is_refused(kind: Any) -> None:  # by Python 3.11 as no JSON, by later ones because its key is unknown
    assert refused(kind, '{"a":' + "[" * 5000 + "]" * 5000 + "}") in (
        (106, "not JSON: expected one JSON object"),
        (108, "a: is not known here"),
    )


def test_106_precedes_108_and_108_precedes_107() -> None:
    assert refused(StatusUpdate, '{"status":5,"mood":1,"email":')[0] == 106
    assert refused(StatusUpdate, '{"status":5,"mood":1} x')[0] == 106
    assert refused(StatusUpdate, '{"status":5,"email":"a","mood":1}') == (108, "mood: is not known here")
    assert refused(StatusUpdate, '{"status":5}') == (108, "email: is missing")
    assert refused(NewApplication, '{"name":"","description":5}') == (108, "domain: is missing")
    assert refused(StatusUpdate, '{"status":5,"email":5}')[0] == 107


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse(StatusUpdate, '{"email":"a","email":"b","status":"online","status":"offline"}').email == "b"
    assert refused(StatusUpdate, '{"email":"a","status":"online","status":"x"}')[0] == 107
    assert action_of('{"action":"a","action":"b"}') == "b"


def test_a_number_too_large_for_a_float_is_refused() -> None:
    assert refused(StatusUpdate, '{"email":"a","status":"online","id":1e999}')[0] in (106, 107)


def test_omitted_fields_have_their_defaults() -> None:
    frame = parse(StatusUpdate, '{"email":"a","status":"online"}')
    assert (frame.id, frame.assertion, frame.device, frame.ack, frame.ticket) == (None, None, None, False, False)
    item = parse(NewNotifications, '[{"puid":"p"}]')[0]
    assert (item.message, item.action, item.source, item.ttl) == ("", "", None, 86_400)
    assert parse(NewApplication, '{"name":"a","domain":"b"}').description == ""
    assert parse(ApplicationChange, "{}") == ApplicationChange()


def test_a_parser_that_returns_none_returns_the_frames_that_parse_returns():
    try_parse = try_parser(StatusUpdate)
    good = '{"email":"a@example.org","status":"online","id":7}'
    assert try_parse(good) == parse(StatusUpdate, good)
    for bad in ("", "[]", "[" * 5000, "{}", '{"action":null,' + good[1:], good.replace("online", "asleep"), '"\ud800"'):
        assert try_parse(bad) is None


def test_action_and_id_are_found_in_frames_of_any_shape() -> None:
    assert action_of('{"x":[1,{"action":"b"}],"action":"notify"}') == "notify"
    assert action_of("{}") is None and action_of('{"action":null}') is None
    assert id_of('{"id":7,"x":1}') == 7 and id_of('{"id":"a"}') == "a" and id_of("{}") is None
    for text in ("", "[]", '{"id":1.5}', '{"id":[]}', '{"id":"' + "x" * 65 + '"}', "[" * 100_000):
        assert id_of(text) is None


@pytest.mark.parametrize("text", ["", "[]", "5", "[" * 100_000, '{"action":"\\ud800"}'])
def test_an_action_of_no_object_is_106(text: str) -> None:
    with pytest.raises(NotAnObject):
        action_of(text)


# -- arbitrary input

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)
FIELDS = sorted({field.name for kind in [*STRUCTS, NewNotification] for field in msgspec.structs.fields(kind)})
NEAR_MISSES = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), JSON, max_size=6)
DATA = (
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | (NEAR_MISSES | st.lists(NEAR_MISSES, max_size=3) | JSON).map(lambda value: json.dumps(value).encode())
)


@pytest.mark.slow
@UNTIMED
@given(data=DATA)
def test_parsing_raises_nothing_but_refusals(data: bytes) -> None:
    for kind in KINDS:
        try:
            parse(kind, data)
        except Refused as error:
            assert error.errno in (106, 107, 108, 151, 153)
            assert 0 < len(error.error) < 300
            json.loads(encode(Refusal.of(error)))
    id_of(data.decode("utf-8", "replace"))


def test_random_input_of_16_kib_is_refused() -> None:
    source = random.Random(1)
    for _ in range(50):
        data = source.randbytes(16384)
        for kind in (StatusUpdate, Notify):
            assert refused(kind, data)[0] == 106
    assert refused(StatusUpdate, b'{"email":"' + b"a" * 16000 + b'","status":"online"}')[0] == 107


def test_names_and_descriptions_are_normalized() -> None:
    wanted = parse(NewApplication, '{"name": " Cafe\u0301 ", "domain": "a.b", "description": "a\\r\\nb "}'.encode())
    assert (wanted.name, wanted.description) == ("Caf\u00e9", "a\nb")
