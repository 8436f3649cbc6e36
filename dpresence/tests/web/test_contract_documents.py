"""The documents of ``/__api__`` and the application say the same: routes, callers, bodies, answers, parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import pytest
from cornice.service import get_services
from pyramid.interfaces import IRoutesMapper
from pyramid.response import Response

from dpresence import __version__, views
from dpresence.contract.operations import OPERATIONS
from dpresence.messages import AccountDocument
from dpresence.tests.web.support import World, ko, refusal
from dpresence.views import development, metrics, validators
from dpresence.views.validators import Body

BY_CALL = {operation.call: operation for group in OPERATIONS.values() for operation in group}
STREAMED = {"GET /account": {AccountDocument}}
"""Answers that a view writes itself."""
CALLERS = {
    "user": "user",
    "session": "session",
    "operator": "operator",
    "appservice": "service",
    "has_token": "development",
    "monitor": "monitor",
}


@dataclass
class View:
    """A view of Cornice, as the application serves it."""

    call: str
    function: Callable[..., Any]
    validators: tuple[Callable[..., Any], ...]

    @property
    def names(self) -> set[str]:
        return {getattr(each, "__name__", "") for each in self.validators}


def cornice_views() -> Iterator[View]:
    """Yield the views of this package; a ``HEAD`` is its ``GET`` without the body."""
    for service in get_services():
        for method, function, arguments in service.definitions:
            if method != "HEAD" and function.__module__.startswith(views.__name__):
                yield View(f"{method} {service.path}", function, tuple(arguments["validators"]))


@pytest.fixture(scope="module")
def found(shared: World) -> dict[str, View]:
    return {view.call: view for view in cornice_views()}


def test_every_route_is_an_operation_and_every_operation_is_a_route(shared: World, found: dict[str, View]) -> None:
    patterns = {route.pattern for route in shared.app.registry.getUtility(IRoutesMapper).get_routes()}
    others = {
        "/presence": "GET /presence",
        "/myapps/{appid}/feed": "GET /myapps/{appid}/feed",
        "/static/*subpath": "GET /static/{file}",
        "/static/texts-{language}.js": "GET /static/{file}",
    }
    assert patterns == {call.partition(" ")[2] for call in found} | set(others)
    assert set(found) | {"POST /presence", *others.values()} == set(BY_CALL)


def test_an_operation_is_named_as_its_view(found: dict[str, View]) -> None:
    for call, view in found.items():
        assert BY_CALL[call].id == camel(view.function.__name__)


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def test_an_operation_has_the_caller_that_its_view_checks(found: dict[str, View]) -> None:
    for call, view in found.items():
        callers = {CALLERS[name] for name in view.names & set(CALLERS)} or {"anybody"}
        assert {BY_CALL[call].caller} == callers, call
    named = {validators.user, validators.session, validators.operator, validators.appservice, development.has_token, metrics.monitor}
    assert {validator.__name__ for validator in named} == set(CALLERS)


def test_an_operation_has_the_body_of_its_view(found: dict[str, View]) -> None:
    """The views that also take a form parse the body in a validator of their own."""
    forms = {"POST /grant/{appid}": ("GrantRequest", True), "POST /pair/answer": ("PairingAnswer", False)}
    for call, view in found.items():
        bodies = [(each.kind, each.optional) for each in view.validators if isinstance(each, Body)]
        operation = BY_CALL[call]
        given = (operation.body, operation.optional) if operation.body is not None else None
        if call in forms:
            assert given is not None
            assert (given[0].__name__, given[1]) == forms[call]
        else:
            assert [given] == (bodies or [None]), call


def test_an_operation_has_the_answer_of_its_view(found: dict[str, View]) -> None:
    for call, view in found.items():
        answer = get_type_hints(view.function)["return"]
        kinds = set(get_args(answer) or (answer,)) - {Response} or STREAMED.get(call, set())
        assert {kind for kind in BY_CALL[call].answers.values() if kind not in (None, str, bytes, dict)} == kinds, call


def test_an_operation_has_a_page_and_pages_of_a_list_where_its_view_does(found: dict[str, View]) -> None:
    for call, view in found.items():
        assert BY_CALL[call].page == ("page" in view.function.__code__.co_names), call
        assert ({"after", "limit"} <= set(BY_CALL[call].query)) == ("paging" in view.names), call


# -- serving


def test_anybody_reads_the_documents(shared: World) -> None:
    openapi, asyncapi = (shared.browser()("GET", path) for path in ("/__api__", "/__api__/asyncapi"))
    assert (openapi.status_int, openapi.content_type, openapi.json["openapi"]) == (200, "application/json", "3.1.0")
    assert (asyncapi.status_int, asyncapi.content_type, asyncapi.json["asyncapi"]) == (200, "application/json", "3.0.0")
    assert openapi.json["servers"] == [{"url": "http://127.0.0.1:8282"}]
    assert openapi.headers["Cache-Control"] == "public, no-cache"
    assert openapi.json["info"]["version"] == asyncapi.json["info"]["version"] == __version__


@pytest.mark.parametrize("path", ["/__api__", "/__api__/asyncapi"])
def test_a_client_that_has_the_document_gets_304(shared: World, path: str) -> None:
    etag = shared.browser()("GET", path).headers["ETag"]
    again = shared.browser()("GET", path, If_None_Match=etag)
    assert (again.status_int, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert shared.browser()("GET", path, If_None_Match='"other"').status_int == 200
    assert shared.browser()("HEAD", path).headers["ETag"] == etag


def test_the_page_says_once_what_every_call_may_answer(shared: World) -> None:
    text = shared.browser()("GET", "/__api__/docs", Accept="text/html").text
    answers = text.partition('id="errnos"')[0]
    for meaning in ("999: Internal error", "201: A backend is unavailable", "117: Too many", "113: The body is too large"):
        assert answers.count(meaning) == 1
    assert answers.count("107: A field has a wrong value") > 10, "which not every call may answer"


def test_a_document_is_only_read(shared: World) -> None:
    assert refusal(shared.browser()("POST", "/__api__")) == (405, ko(115, "the method is not allowed here"))


def test_the_names_of_operations_are_unique() -> None:
    ids = [operation.id for operation in BY_CALL.values()]
    assert len(set(ids)) == len(ids)
