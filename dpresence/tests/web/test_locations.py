"""Redirects lead to the audience, whatever the request says this service is called."""

from __future__ import annotations

import pytest

from dpresence.tests.web.support import AUDIENCE, World
from dpresence.views.headers import _location

EVIL = "evil.example"


@pytest.mark.parametrize("path", ["/sidebar", "/myapps", "/myapps/x", "/static", "/static/", "/login?next=/sidebar", "/logout"])
@pytest.mark.parametrize("host", [EVIL, "127.0.0.1:8282.evil.example", "127.0.0.1:1"])
def test_no_location_is_made_from_the_host(world: World, path: str, host: str) -> None:
    answer = world.browser()("GET", path, Host=host, Accept="text/html")
    assert answer.headers.get("Location", AUDIENCE + "/").startswith((AUDIENCE + "/", f"{AUDIENCE}?"))
    assert host not in answer.headers.get("Location", "")


@pytest.mark.parametrize(("location", "leads_to"), [
    ("/a?b", f"{AUDIENCE}/a?b"), (f"http://{EVIL}/a", f"{AUDIENCE}/a"), ("https://app.example/a", "https://app.example/a"),
    (f"{AUDIENCE}/a", f"{AUDIENCE}/a"), (f"http://{EVIL}.example/a", f"http://{EVIL}.example/a"), ("//x/a", "//x/a"),
])  # fmt: skip
def test_only_what_leads_here_is_put_under_the_audience(location: str, leads_to: str) -> None:
    assert _location(location, f"http://{EVIL}", AUDIENCE) == leads_to
