"""Changes of one application at the same time: a name and a domain that were not checked together are not stored together (section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.tests.web.support import Browser, World, ko, refusal

BANK = "bank.com"
OVERTAKEN = (409, ko(122, "the application was changed by another call at the same time"))


@pytest.fixture
def dev(world: World) -> Browser:
    return world.person("dev@example.org")


@pytest.fixture
def path(world: World, dev: Browser) -> str:
    """The path of an application at a domain that its developer cannot prove."""
    return f"/myapps/{world.registered(dev, BANK, 'Chess')['appid']}"


def overtake(monkeypatch: pytest.MonkeyPatch, world: World, method: str, first: Callable[[], Any]) -> None:
    """Have something happen once right before a change is stored, after everything was checked."""
    directory, left = world.registry.backends.directory, [first]
    change = getattr(directory, method)

    def late(*args: Any, **kwargs: Any) -> Any:
        if left:
            left.pop()()
        return change(*args, **kwargs)

    monkeypatch.setattr(directory, method, late)


def prove(world: World, dev: Browser, path: str) -> None:
    """Change the application's domain to one that the developer has, and prove it."""
    moved = dev("PATCH", path, {"domain": world.proof.domain}).json
    world.proof.answer = (200, moved["domain_key"])
    assert dev("POST", f"{path}/validate").json["valid_domain"]


def shown(dev: Browser, path: str) -> tuple[str, str, bool]:
    """Return name, domain and whether the domain is proven."""
    found = dev("GET", path).json
    return found["name"], found["domain"], found["valid_domain"]


@pytest.mark.parametrize("change", [{"domain": BANK}, {"name": "Chess", "domain": f"https://{BANK}/", "description": "Play"}])
def test_a_domain_that_was_the_present_one_does_not_take_the_proof_of_the_next(
    world: World, dev: Browser, path: str, change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(monkeypatch, world, "change_application", lambda: prove(world, dev, path))
    assert refusal(dev("PATCH", path, change)) == OVERTAKEN
    assert shown(dev, path) == ("Chess", world.proof.domain, True)


def test_a_name_of_the_former_domain_is_not_stored_beside_the_next(
    world: World, dev: Browser, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(monkeypatch, world, "change_application", lambda: prove(world, dev, path))
    assert refusal(dev("PATCH", path, {"name": BANK})) == OVERTAKEN
    assert shown(dev, path) == ("Chess", world.proof.domain, True)


@pytest.mark.parametrize("first", [{"name": BANK}, {"domain": "go.example.org"}], ids=["renamed", "moved"])
def test_a_domain_that_does_not_go_with_the_present_name_is_not_stored(
    world: World, dev: Browser, path: str, first: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(monkeypatch, world, "move_application", lambda: dev("PATCH", path, first))
    assert refusal(dev("PATCH", path, {"domain": world.proof.domain})) == OVERTAKEN
    assert shown(dev, path) == (first.get("name", "Chess"), first.get("domain", BANK), False)


def test_a_description_goes_with_every_domain(world: World, dev: Browser, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    overtake(monkeypatch, world, "change_application", lambda: prove(world, dev, path))
    assert dev("PATCH", path, {"description": "Stones"}).json["domain"] == world.proof.domain


@pytest.mark.parametrize("change", [{"name": "Go"}, {"domain": "go.example.org"}])
def test_an_application_that_is_deleted_meanwhile_is_not_found(
    world: World, dev: Browser, path: str, change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = "move_application" if "domain" in change else "change_application"
    overtake(monkeypatch, world, method, lambda: dev("DELETE", path))
    assert refusal(dev("PATCH", path, change)) == (404, ko(110, "not found"))
