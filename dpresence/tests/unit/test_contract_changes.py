"""No change is incompatible with the last release, and every incompatible change would be found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpresence.contract import Contract
from dpresence.settings import Settings
from dpresence.tests.contract_changes import changes

RELEASED = Path(__file__).parents[3] / "docs" / "api" / "released"
CONTRACT = Contract(Settings(), "1.2.3")
OPENAPI, ASYNCAPI = CONTRACT.openapi.content, CONTRACT.asyncapi.content


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_clients_of_the_last_release_still_work(name: str) -> None:
    released = json.loads((RELEASED / f"{name}.json").read_text(encoding="utf-8"))
    assert changes(released, getattr(CONTRACT, name).content) == []


def schemas(document: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(document["components"]["schemas"][name])["properties"] | {"": document["components"]["schemas"][name]}


def call(document: dict[str, Any], path: str, method: str) -> Any:
    return document["paths"][path][method]


def feed(document: dict[str, Any]) -> Any:
    return call(document, "/myapps/{appid}/feed", "get")["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]


def details(document: dict[str, Any]) -> Any:
    return schemas(document, "Refusal")["details"]["anyOf"][1]["additionalProperties"]


def rename_hours(document: dict[str, Any]) -> None:
    """Give quiet hours another name and no zone."""
    known = document["components"]["schemas"]
    known["Weekly"] = known.pop("Hours")
    del known["Weekly"]["properties"]["zone"]
    schemas(document, "GrantChange")["hours"]["anyOf"][0] = {"$ref": "#/components/schemas/Weekly"}
    call(document, "/hours", "put")["requestBody"]["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Weekly"}


TWO = copy.deepcopy(OPENAPI)
schemas(TWO, "GrantChange")["hours"]["anyOf"].append({"$ref": "#/components/schemas/Interval"})

INCOMPATIBLE: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "GET /grants was removed": (OPENAPI, lambda new: new["paths"].pop("/grants")),
    "PUT /status was removed": (OPENAPI, lambda new: new["paths"]["/status"].pop("put")),
    "webhook presence.updates was removed": (OPENAPI, lambda new: new["webhooks"].pop("presence.updates")),
    "webhook presence.updates.data.cursor was removed": (OPENAPI, lambda new: schemas(new, "Updates")[""]["properties"].pop("cursor")),
    "GET /myapps/{appid}/feed 200.cursor: may be omitted": (OPENAPI, lambda new: schemas(new, "Updates")[""]["required"].remove("cursor")),
    "PATCH /grant/{appid} body.hours: Interval was removed": (TWO, lambda new: schemas(new, "GrantChange")["hours"]["anyOf"].pop()),
    "PATCH /grant/{appid} body.hours.zone: another type": (OPENAPI, lambda new: schemas(new, "Hours")["zone"].update(type="integer")),
    "PATCH /grant/{appid} body.hours.zone was removed": (OPENAPI, rename_hours),
    "GET /grants 401.details.*[]: another type": (OPENAPI, lambda new: details(new)["items"].update(type="integer")),
    "errno 133 was removed": (OPENAPI, lambda new: new["x-errnos"].remove(next(row for row in new["x-errnos"] if row["errno"] == 133))),
    "errno 34: another status": (OPENAPI, lambda new: new["x-errnos"][0].update(status=403)),
    "code 4010 was removed": (
        ASYNCAPI,
        lambda new: new["x-close-codes"].remove(next(x for x in new["x-close-codes"] if x["code"] == 4010)),
    ),
    "GET /devices 200.devices[].since was removed": (OPENAPI, lambda new: schemas(new, "DeviceBody")[""]["properties"].pop("since")),
    "GET /devices 200.devices[].since: may be omitted": (OPENAPI, lambda new: schemas(new, "DeviceBody")[""]["required"].remove("since")),
    "GET /devices 200.devices[].since: another type": (OPENAPI, lambda new: schemas(new, "DeviceBody")["since"].update(type="string")),
    "GET /devices 200.devices[].status: other values": (OPENAPI, lambda new: schemas(new, "DeviceBody")["status"]["enum"].remove("online")),
    "appService Updates.updates[].reason: other values": (ASYNCAPI, lambda new: schemas(new, "UpdateEntry")["reason"]["enum"].append("x")),
    "PATCH /grant/{appid} body.paused: another type": (OPENAPI, lambda new: schemas(new, "GrantChange")["paused"].update(type="string")),
    "POST /myapps body.description is needed": (OPENAPI, lambda new: schemas(new, "NewApplication")[""]["required"].append("description")),
    "POST /myapps body.name: maxLength is narrower": (OPENAPI, lambda new: schemas(new, "NewApplication")["name"].update(maxLength=63)),
    "POST /myapps body.name: another pattern": (OPENAPI, lambda new: schemas(new, "NewApplication")["name"].update(pattern="^x")),
    "device StatusUpdate.status: fewer values": (ASYNCAPI, lambda new: schemas(new, "StatusUpdate")["status"]["enum"].remove("online")),
    "device StatusUpdate.id: another type": (ASYNCAPI, lambda new: schemas(new, "StatusUpdate")["id"]["anyOf"].pop()),
    "device StatusUpdate.device: another pattern": (
        ASYNCAPI,
        lambda new: schemas(new, "StatusUpdate")["device"]["anyOf"][0].update(pattern="^a"),
    ),
    "device Acknowledge.id is needed": (ASYNCAPI, lambda new: schemas(new, "Acknowledge")[""]["required"].append("id")),
    "device Notifications was removed": (ASYNCAPI, lambda new: new["channels"]["device"]["messages"].pop("Notifications")),
    "channel appService was removed": (ASYNCAPI, lambda new: new["channels"]["appService"].update(address="/elsewhere")),
    "POST /logout: needs a body": (OPENAPI, lambda new: call(new, "/logout", "post")["requestBody"].update(required=True)),
    "GET /grants: parameter after was removed": (OPENAPI, lambda new: call(new, "/grants", "get")["parameters"].pop(0)),
    "GET /grants: needs parameter limit": (OPENAPI, lambda new: call(new, "/grants", "get")["parameters"][1].update(required=True)),
    "GET /devices: another proof is needed": (OPENAPI, lambda new: call(new, "/devices", "get").update(security=[{"apiKey": []}])),
    "GET /__version__: another proof is needed": (OPENAPI, lambda new: call(new, "/__version__", "get").update(security=[{"apiKey": []}])),
    "POST /grant/{appid}: answer 303 was removed": (OPENAPI, lambda new: call(new, "/grant/{appid}", "post")["responses"].pop("303")),
    "GET /myapps 200: text/html was removed": (
        OPENAPI,
        lambda new: call(new, "/myapps", "get")["responses"]["200"]["content"].pop("text/html"),
    ),
}


@pytest.mark.parametrize("change", INCOMPATIBLE)
def test_an_incompatible_change_is_found(change: str) -> None:
    old, make = INCOMPATIBLE[change]
    new = copy.deepcopy(old)
    make(new)
    assert change in changes(old, new)


COMPATIBLE: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "another name of a schema": (
        OPENAPI,
        lambda new: (
            new["components"]["schemas"].update(Weekly=schemas(new, "Hours")[""]),
            schemas(new, "GrantChange")["hours"]["anyOf"].__setitem__(0, {"$ref": "#/components/schemas/Weekly"}),
        ),
    ),
    "null in a field of a request": (
        OPENAPI,
        lambda new: schemas(new, "NewApplication")[""]["properties"].update(
            name={"anyOf": [copy.deepcopy(schemas(new, "NewApplication")["name"]), {"type": "null"}]}
        ),
    ),
    "a new frame of the feed": (OPENAPI, lambda new: feed(new).append({"$ref": "#/components/schemas/GrantPage"})),
    "a new webhook": (OPENAPI, lambda new: new["webhooks"].update(new={})),
    "a new call": (OPENAPI, lambda new: new["paths"].update({"/new": new["paths"]["/grants"]})),
    "a new field of an answer": (OPENAPI, lambda new: schemas(new, "DeviceBody")[""]["properties"].update(new={"type": "string"})),
    "a new optional field of a request": (OPENAPI, lambda new: schemas(new, "Login")[""]["properties"].update(new={"type": "string"})),
    "a new errno": (OPENAPI, lambda new: new["x-errnos"].append({"errno": 500, "status": 400, "meaning": "new"})),
    "an errno of a call less": (OPENAPI, lambda new: call(new, "/grants", "get")["responses"].pop("401")),
    "a new frame": (ASYNCAPI, lambda new: new["channels"]["device"]["messages"].update(New={})),
    "a value of a request more": (ASYNCAPI, lambda new: schemas(new, "StatusUpdate")["status"]["enum"].append("busy")),
    "a longer field of a request": (OPENAPI, lambda new: schemas(new, "NewApplication")["name"].update(maxLength=65)),
    "another way to authenticate": (OPENAPI, lambda new: call(new, "/devices", "get")["security"].append({"new": []})),
}


@pytest.mark.parametrize("change", COMPATIBLE)
def test_a_compatible_change_is_allowed(change: str) -> None:
    old, make = COMPATIBLE[change]
    new = copy.deepcopy(old)
    make(new)
    assert new != old
    assert changes(old, new) == []
