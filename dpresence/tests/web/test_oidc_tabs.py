"""Several sign-ins of one browser at an OpenID provider at the same time, and destinations of any length."""

from __future__ import annotations

import random
import string
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from dpresence.domains import MAX_REDIRECT
from dpresence.tests.web.oidc_sign_in import SignIn, clock, make, provider, world
from dpresence.tests.web.support import AUDIENCE

__all__ = ["clock", "make", "provider", "world"]


def another_tab(first: SignIn, path: str) -> SignIn:
    """Return a sign-in that the browser of ``first`` begins as well."""
    tab = object.__new__(SignIn)
    tab.world, tab.browser = first.world, first.browser
    tab.answer = first.browser("GET", path)
    tab.location = tab.answer.headers["Location"]
    tab.asked = dict(parse_qsl(urlsplit(tab.location).query))
    return tab


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_each_tab_finishes_its_own_sign_in_and_goes_where_it_wanted(world, provider, order):
    first = SignIn(world, "/login/corp?next=/sidebar")
    tabs = [first, another_tab(first, "/login/corp?next=/myapps"), another_tab(first, "/login/corp?next=/grant/a")]
    for number in order:
        answer = tabs[number].give(provider).back()
        assert (answer.status_int, answer.headers["Location"]) == (303, AUDIENCE + ["/sidebar", "/myapps", "/grant/a"][number])


def test_sign_ins_that_are_never_finished_do_not_fill_the_cookie_header(world, provider):
    long = "/grant/a?redirect=" + "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=MAX_REDIRECT))
    first = SignIn(world)
    tabs = [another_tab(first, f"/login/corp?next={quote(long, safe='')}") for _ in range(12)]
    tabs += [another_tab(first, "/login/corp") for _ in range(30)]
    jar = first.browser.web.cookies
    assert sum(len(name) + len(value) + 3 for name, value in jar.items()) < 8000
    assert tabs[-1].give(provider).back().status_int == 303 and tabs[-2].give(provider).back().status_int == 303


@pytest.mark.parametrize("alphabet", ["a", string.ascii_letters + string.digits + "-._~", "&=?/ab", "%2F%41%C3%A9", string.printable[:94]])
def test_a_redirect_of_any_permitted_length_survives_the_sign_in(world, provider, alphabet):
    redirect = "http://localhost:8000/" + "".join(random.Random(2).choices(alphabet, k=MAX_REDIRECT - 22))
    wanted = f"/grant/ABC?redirect={quote(redirect, safe='')}"
    sign_in = SignIn(world, f"/login/corp?next={quote(wanted, safe='')}").give(provider)
    assert max(len(line.partition(";")[0]) for line in sign_in.answer.headers.getall("Set-Cookie")) < 4096
    assert sign_in.back().headers["Location"] == AUDIENCE + wanted


def test_a_destination_that_no_cookie_holds_is_the_start_page(world, provider):
    path = "/" + "".join(random.Random(3).choices(string.ascii_letters + string.digits, k=6000))
    assert SignIn(world, f"/login/corp?next={path}").give(provider).back().headers["Location"] == f"{AUDIENCE}/"
