"""Every errno of the table in section 7, provoked by a public call or frame: the whole error object and its HTTP status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable, Refused, errno_table
from dpresence.identity.oidc import Provider
from dpresence.identity.oidc_client import OidcClient
from dpresence.identity.provider_client import ProviderClient
from dpresence.settings import ProviderSettings
from dpresence.tests.web.support import AUDIENCE, App, World, ko, refusal
from dpresence.views import errors

ANN, BOB = "ann@example.org", "bob@example.org"
WORD = "notifications[0].action: a word, or an http(s) URL on the application's validated domain"


@dataclass
class Scene:
    """A service in which a call or a frame is refused."""

    world: World
    app: App
    patch: pytest.MonkeyPatch

    def signed_call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return refusal(self.world.browser()(method, path, body, **self.world.authorization(ANN), **headers))

    def service(self, item: dict[str, Any]) -> Any:
        puid = self.world.grant(ANN, self.app)
        path, key = f"/myapps/{self.app.id}/notifications", {"Authorization": f"Bearer {self.app.key}"}
        return refusal(self.world.browser()("POST", path, [{"puid": puid, **item}], **key))

    def frame(self, **fields: Any) -> Any:
        """Send a device's second update; a frame has no HTTP status."""
        return None, self.world.device(ANN).receive({"email": ANN, "status": "online", **fields})


def invalid_assertion(scene: Scene) -> Any:
    return refusal(scene.world.browser()("GET", "/devices", Authorization="BrowserID a~b"))


def no_credentials(scene: Scene) -> Any:
    return refusal(scene.world.browser()("GET", "/devices"))


def invalid_key(scene: Scene) -> Any:
    return refusal(scene.world.browser()("GET", f"/myapps/{scene.app.id}/presence", Authorization="Bearer nonsense"))


def not_an_object(scene: Scene) -> Any:
    return scene.signed_call("POST", "/myapps", b"nonsense")


def wrong_value(scene: Scene) -> Any:
    return scene.signed_call("POST", "/myapps", {"name": "", "domain": "chess.example.org"})


def wrong_field(scene: Scene) -> Any:
    return scene.signed_call("POST", "/myapps", {"name": "Chess"})


def not_found(scene: Scene) -> Any:
    return scene.signed_call("GET", f"/myapps/{scene.app.id}")


def unknown_path(scene: Scene) -> Any:
    return scene.signed_call("GET", "/nothing")


def too_large(scene: Scene) -> Any:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    return scene.signed_call("POST", f"/grant/{scene.app.id}", b"x" * 16385, **form)


def too_many(scene: Scene) -> Any:
    for number in range(100):
        scene.world.clock.advance(60)
        answer = refusal(scene.app.owner("POST", "/myapps", {"name": "Chess", "domain": f"a{number}.example.org"}))
    return answer


def method_not_allowed(scene: Scene) -> Any:
    return scene.signed_call("PUT", "/myapps")


def slow_down(scene: Scene) -> Any:
    for _ in range(11):
        answer = invalid_assertion(scene)
    return answer


def forbidden(scene: Scene) -> Any:
    return refusal(scene.world.browser()("POST", "/login", {"assertion": "a~b"}, Origin="https://evil.example.org"))


def conflict(scene: Scene) -> Any:
    return refusal(scene.app.owner("POST", f"/myapps/{scene.app.id}/activate"))


def session_ended(scene: Scene) -> Any:
    ann = scene.world.person(ANN)
    scene.world.clock.advance(43200)
    return refusal(ann("GET", "/devices"))


def other_email(scene: Scene) -> Any:
    return scene.frame(email=BOB)


def domain_not_validated(scene: Scene) -> Any:
    appid = scene.world.registered(scene.app.owner)["appid"]
    return refusal(scene.app.owner("POST", f"/myapps/{appid}/activate"))


def proof_failed(scene: Scene) -> Any:
    scene.world.proof.answer = (404, "")
    return refusal(scene.app.owner("POST", f"/myapps/{scene.app.id}/validate"))


def not_active(scene: Scene) -> Any:
    appid = scene.world.validated(scene.app.owner)
    return refusal(scene.app.owner("POST", f"/myapps/{appid}/key"))


def pairing_incomplete(scene: Scene) -> Any:
    return refusal(scene.world.browser()("POST", "/pair/token", {"device_code": "unknown"}))


def invalid_logout(scene: Scene) -> Any:
    settings = ProviderSettings("corp", issuer="https://id.example.org", client_id="dpresence", domains=("example.org",))
    provider = Provider(settings, ProviderClient(allow_private=False), scene.world.clock)
    scene.patch.setitem(scene.world.registry.clients.providers, "corp", OidcClient(provider, "", AUDIENCE, scene.world.clock))
    return refusal(scene.world.browser().web.post("/login/corp/backchannel-logout", {"logout_token": "x"}, expect_errors=True))


def field_too_long(scene: Scene) -> Any:
    return scene.service({"message": "x" * 513})


def bad_ttl(scene: Scene) -> Any:
    return scene.service({"ttl": -1})


def bad_action(scene: Scene) -> Any:
    return scene.service({"action": "javascript:alert(1)"})


def backend_unavailable(scene: Scene) -> Any:
    def away(*_: object) -> None:
        raise BackendUnavailable

    scene.patch.setattr(scene.world.registry.backends.tracker, "devices", away)
    return scene.signed_call("GET", "/devices")


def internal_error(scene: Scene) -> Any:
    scene.patch.setattr(scene.world.services, "devices", None)
    scene.patch.setattr(errors, "current_request", lambda: "c0ffee")
    return scene.signed_call("GET", "/devices")


REFUSALS: dict[Callable[[Scene], Any], tuple[int | None, dict[str, Any]]] = {
    invalid_assertion: (401, ko(34, "Invalid assertion")),
    no_credentials: (401, ko(104, "Authorization: BrowserID or Bearer, and an assertion")),
    invalid_key: (401, ko(105, "the API key is not valid")),
    not_an_object: (400, ko(106, "not JSON: expected one JSON object")),
    wrong_value: (400, ko(107, "name: 1 to 64 printable characters")),
    wrong_field: (400, ko(108, "domain: is missing")),
    not_found: (404, ko(110, "not found")),
    unknown_path: (404, ko(111, "there is no such path")),
    too_large: (413, ko(113, "a form may have 16384 bytes")),
    too_many: (409, ko(114, "applications: at most 100 for one developer")),
    method_not_allowed: (405, ko(115, "the method is not allowed here")),
    slow_down: (429, ko(117, "too many failures from this address", retry_after=6)),
    forbidden: (403, ko(121, "Origin: not a page of this service")),
    conflict: (409, ko(122, "the application is active already")),
    session_ended: (401, ko(130, "the session has ended; send a new assertion")),
    other_email: (None, ko(133, "email: differs from the address that the assertion proves")),
    domain_not_validated: (403, ko(140, "the application's domain is not validated")),
    proof_failed: (400, ko(141, "the domain could not be validated: status", details="status")),
    not_active: (403, ko(142, "the application is not active")),
    pairing_incomplete: (
        400,
        ko(
            143,
            "the pairing is not complete: device_code: is unknown, has expired, or its credential is in use",
            details="expired_token",
        ),
    ),
    invalid_logout: (
        400,
        ko(144, "the logout token is not valid: it is not a signed JWT with the claims of a logout token", details="malformed"),
    ),
    field_too_long: (400, ko(151, "notifications[0].message: text of up to 512 characters")),
    bad_ttl: (400, ko(153, "notifications[0].ttl: whole seconds from 0 to 2592000")),
    bad_action: (400, ko(156, WORD)),
    backend_unavailable: (503, ko(201, "the service is unavailable for a moment", retry_after=5)),
    internal_error: (500, ko(999, "internal error, request c0ffee", details="c0ffee")),
}


@pytest.fixture
def scene(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(world, app, monkeypatch)


@pytest.mark.parametrize("provoke", REFUSALS, ids=lambda provoke: provoke.__name__)
def test_the_whole_answer_of_a_refusal(scene: Scene, provoke: Callable[[Scene], Any]) -> None:
    assert provoke(scene) == REFUSALS[provoke]
    scene.patch.undo()


def test_every_errno_of_the_table_is_provoked() -> None:
    assert sorted(body["errno"] for _, body in REFUSALS.values()) == sorted(errno_table())


def test_the_http_status_of_each_is_that_of_the_table() -> None:
    table = errno_table()
    for status, body in REFUSALS.values():
        assert status in (None, table[body["errno"]].status)
    assert table[133].status == 403


def test_no_two_refusals_share_an_errno() -> None:
    assert len(Refused.__subclasses__()) == len(errno_table())
