"""Calls that schemathesis generates from the OpenAPI document, to a live service: no 500, and every answer is in the document.

The seed and the number of calls are fixed, so that each run makes the same calls.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dpresence.tests.contract_check import check_body
from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.live.clients import Application, Person
from dpresence.tests.support import WITH_TOKEN

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
LAST = ("newKey", "deactivateApplication", "activateApplication", "changeApplication", "deleteApplication", "deleteAccount")
"""Operations that end what the others need."""
CREDENTIALS = ("authorization", "cookie", "x-csrf-token", "x-development-token")


@dataclass
class Caller:
    """Somebody who makes calls.

    :ivar headers: their credentials.
    :ivar scheme: the security scheme of these.
    """

    headers: dict[str, str]
    scheme: str = ""


def callers(application: Application) -> list[Caller]:
    """Return nobody, a user, the owner of an application with and without a browser, its service, and who has the development token."""
    owner, other = application.owner, Person(application.origin, "ann@example.org")
    browser = requests.Session()
    token = browser.post(f"{application.origin}/login", json={"assertion": owner.assertion()}).json()["csrf"]
    cookie = "; ".join(f"{each.name}={each.value}" for each in browser.cookies)
    return [
        Caller({}),
        Caller({"Authorization": f"BrowserID {other.assertion()}"}, "browserid"),
        Caller({"Authorization": f"BrowserID {owner.assertion()}"}, "browserid"),
        Caller({"Cookie": cookie, "X-CSRF-Token": token}, "session"),
        Caller({"Authorization": f"Bearer {application.key}"}, "apiKey"),
        Caller(WITH_TOKEN, "developmentToken"),
    ]


def operations(origin: str) -> list[Any]:
    """Return the operations of the service's own document; those that end something come last."""
    schema = schemathesis.openapi.from_url(f"{origin}/__api__")
    found = [result.ok() for result in schema.get_all_operations()]
    ids = {each: each.definition.raw["operationId"] for each in found}
    return sorted(found, key=lambda each: LAST.index(ids[each]) if ids[each] in LAST else -1)


def make_calls(operation: Any, mode: GenerationMode, caller: Caller, appid: str, session: requests.Session, examples: int) -> Counter[int]:
    """Make the calls of one operation by one caller; return the HTTP statuses.

    :param examples: number of calls with credentials; there is one without.
    """
    statuses: Counter[int] = Counter()
    known = {"appid": appid} if "{appid}" in operation.path and mode is GenerationMode.POSITIVE else None

    @seed(15)
    @settings(
        UNTIMED,
        max_examples=examples if caller.scheme else 1,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode, path_parameters=known))
    def calls(case: Case) -> None:
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() not in CREDENTIALS} | caller.headers
        case.headers, case.cookies = headers, {}
        if operation.definition.raw["operationId"] == "getFeed":
            case.query = {"wait": 0, **(case.query or {})}  # an event stream does not end
        response = case.call(session=session, allow_redirects=False, timeout=10)
        statuses[response.status_code] += 1
        if response.status_code < 400:
            check_body(operation.method, response.request.url, response.request.headers.get("Content-Type", ""), response.request.body)
        case.validate_response(response, checks=CHECKS)

    calls()
    return statuses


def may_call(operation: Any, caller: Caller) -> bool:
    """Return whether an operation accepts the credentials of a caller; nobody tries every operation."""
    return not caller.scheme or any(caller.scheme in way for way in operation.definition.raw["security"])


def can_be_wrong(operation: Any) -> bool:
    """Return whether a call can have a wrong field; any text is a path, and a parameter that is text is never wrong."""
    parameters = operation.definition.raw.get("parameters", [])
    return "requestBody" in operation.definition.raw or any(each["schema"] != {"type": "string"} for each in parameters)


def make_all(application: Application, examples: int) -> Counter[int]:
    """Make the calls of all operations by all callers; return the HTTP statuses."""
    session, answered = requests.Session(), Counter[int]()
    for operation in operations(application.origin):
        modes = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if can_be_wrong(operation) else [])]
        for caller in (each for each in callers(application) if may_call(operation, each)):
            for mode in modes:
                answered.update(make_calls(operation, mode, caller, application.appid, session, examples))
    return answered
