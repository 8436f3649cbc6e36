"""Errors: readable, typed, with errno and field, and without secrets."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from dpresence_client import errors
from dpresence_client.app_core import AppServiceCore
from dpresence_client.device_core import DeviceCore
from dpresence_client.outputs import SaveTicket, Send


@pytest.mark.parametrize(
    ("errno", "kind"),
    [(34, errors.InvalidCredentials), (105, errors.InvalidKey), (107, errors.InvalidField), (110, errors.NotFound), (117, errors.SlowDown),
     (122, errors.Conflict), (142, errors.NotActive), (201, errors.Unavailable), (987, errors.Refused)],
)  # fmt: skip
def test_an_errno_has_its_type(errno: int, kind: type) -> None:
    error = errors.refusal({"errno": errno, "error": "no"})
    assert type(error) is kind and str(error) == f"errno {errno}: no"


@pytest.mark.parametrize(
    ("text", "field"),
    [("ttl: whole seconds from 0 to 2592000", "ttl"), ("notifications[3].message: too long", "notifications[3].message"),
     ("not found", ""), ("Invalid assertion: the operator has blocked it", "")],
)  # fmt: skip
def test_a_refusal_names_the_field(text: str, field: str) -> None:
    assert errors.refusal({"errno": 107, "error": text}).field == field


def test_a_refusal_keeps_what_programs_need() -> None:
    error = errors.refusal({"errno": 117, "error": "slow down", "retry_after": 3, "details": "d"}, 429)
    assert (error.retry_after, error.details, error.status) == (3, "d", 429)
    assert errors.refusal({"errno": "x", "error": None, "retry_after": -3}).retry_after == 0


@pytest.mark.parametrize("error", [errors.refusal({"errno": 117, "error": "ttl: no", "retry_after": 3}), errors.closing(4010, "newer")])
def test_errors_survive_pickle_and_copy(error: Exception) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error) and str(other) == str(error) and vars(other) == vars(error)


def test_no_secret_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ("dpk_1_secret", "ticket:secret", "c~secret")
    app = AppServiceCore("dpk_1_secret", None, lambda: 0.5)
    device = DeviceCore("ada@example.org", "online", None, lambda: 0.5, {"device": "desk"})
    shown = []
    for core, ko in ((app, "auth"), (device, "sign-in")):
        core.start(0)
        device.credentials("c~secret", 0)
        core.opened(0)
        core.received(json.dumps({"result": "OK", "ticket": "ticket:secret", "id": ko}), 1)
        core.received("not json ticket:secret dpk_1_secret", 2)
        shown += [repr(core), repr(vars(core).get("error"))] + [repr(output) for output in core.take()]
    assert any("Send" in text for text in shown) and any("SaveTicket" in text for text in shown)
    for text in [*shown, caplog.text, repr(Send({"key": "dpk_1_secret"})), repr(SaveTicket("ticket:secret"))]:
        assert not any(secret in text for secret in secrets)
