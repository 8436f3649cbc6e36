"""The form of the grant page: an answer counts once the question can have been read (section 6)."""

from __future__ import annotations

import re

import pytest

from dpresence.tests.web.support import App, Browser, World, ko, refusal

ANN, BOB = "ann@example.org", "bob@example.org"


def granted(browser: Browser) -> list[str]:
    return [grant["appid"] for grant in browser("GET", "/grants").json["grants"]]


def question(world: World, ann: Browser, app: App) -> str:
    """Open the question and return the field ``csrf`` of its form."""
    shown = ann("GET", f"/grant/{app.id}?redirect=http%3A%2F%2F{world.proof.domain.replace(':', '%3A')}%2F", Accept="text/html")
    return str(re.search(r'<input type="hidden" name="csrf" value="([^"]+)">', shown.text)[1])


@pytest.mark.parametrize("choice", ["allow", "deny"])
def test_an_answer_within_a_second_of_the_question_does_not_count(world: World, app: App, choice: str) -> None:
    ann, back = world.person(ANN), f"http://{world.proof.domain}/"
    fields = {choice: "1", "redirect": back, "csrf": question(world, ann, app)}
    for _ in range(2):
        assert refusal(ann.form(f"/grant/{app.id}", fields)) == (
            429,
            ko(117, "the answer came within a second of the question", retry_after=1),
        )
        world.clock.advance(0.499)
    page = ann.form(f"/grant/{app.id}", fields, Accept="text/html")
    assert page.status_int == 429 and f'href="/grant/{app.id}?redirect=' in page.text and "That was too quick" in page.text
    assert granted(ann) == []
    world.clock.advance(0.002)
    assert ann.form(f"/grant/{app.id}", fields).status_int == 303


def test_when_a_question_was_asked_cannot_be_made_up(world: World, app: App) -> None:
    ann, bob = world.person(ANN), world.person(BOB)
    good, other = question(world, ann, app), question(world, bob, app)
    world.clock.advance(5)
    token, made, signature = good.split(".")
    for field in (
        token,
        f"{token}.",
        f"{token}.0.{signature}",
        f"{token}.{made}.",
        f"{token}.{made}.{other.split('.')[2]}",
        f"{token}.x.{signature}",
        f"{good}.1",
    ):
        answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/", "csrf": field})
        assert refusal(answer) == (403, ko(121, "csrf: is not that of a form of this service")), field
    answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/", "csrf": other})
    assert refusal(answer)[1]["errno"] == 121
    assert granted(ann) == []
