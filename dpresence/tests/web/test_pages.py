"""Pages as they are served: to whom, with what in their header, and the files they are made of (section 6)."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from webob import Request, Response

from dpresence import views
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.tests.web.support import Browser, World, ko, refusal

HTML = {"Accept": "text/html"}
ANN = "ann@example.org"


def names_in_header(browser: Browser, path: str) -> list[str]:
    """Return which of these a page shows."""
    text = browser("GET", path, **HTML).text
    return [word for word in (ANN, "Sign out", 'name="csrf"', 'href="/login', "Try every role") if word in text]


def test_a_program_gets_what_a_page_needs(world: World) -> None:
    assert refusal(world.person(ANN)("GET", "/sidebar")) == (404, ko(111, "this path is a page: Accept has to name text/html"))


def test_a_program_that_asks_for_the_home_page_gets_the_name_and_version(world: World) -> None:
    assert world.browser()("GET", "/").json == world.browser()("GET", "/__version__").json


def test_the_sidebar_is_for_who_is_signed_in(world: World) -> None:
    answer = world.browser()("GET", "/sidebar", **HTML)
    assert answer.status_int == 303 and answer.headers["Location"].endswith("/login?next=%2Fsidebar")
    assert world.person(ANN)("GET", "/sidebar", **HTML).status_int == 200


def test_the_header_says_who_is_signed_in(world: World) -> None:
    assert names_in_header(world.browser(), "/") == ['href="/login', "Try every role"]
    assert names_in_header(world.person(ANN), "/") == [ANN, "Sign out", 'name="csrf"', 'href="/login', "Try every role"]
    assert names_in_header(world.person(ANN), "/nowhere") == [ANN, "Sign out", 'name="csrf"']


def test_links_for_developers_are_in_the_footer_except_on_their_pages(world: World) -> None:
    ann = world.person(ANN)
    assert "My applications" not in ann("GET", "/sidebar", **HTML).text.partition("<main")[0]
    assert "My applications" in ann("GET", "/myapps", **HTML).text.partition("<main")[0]
    assert 'href="/myapps">For developers' in ann("GET", "/sidebar", **HTML).text.partition("</main>")[2]


def test_every_page_names_the_operator_with_their_links(make_world: Callable[..., World]) -> None:
    operator = {"operator": "Example & Co", "privacy_url": "https://example.org/privacy", "contact": "help@example.org"}
    world = make_world(**{f"pages__{key}": value for key, value in operator.items()})
    for path in ("/", "/login", "/nowhere"):
        text = world.browser()("GET", path, **HTML).text
        assert (
            "Run by Example &amp; Co" in text and 'href="https://example.org/privacy"' in text and 'href="mailto:help@example.org"' in text
        )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 20"><path d="M0 0h1v1z"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (32).to_bytes(4, "big") + (64).to_bytes(4, "big")


@pytest.mark.parametrize(("logo", "kind", "width"), [(SVG, "image/svg+xml", 96), (PNG, "image/png", 12)])
def test_the_operators_logo_is_on_every_page_and_has_its_place_before_it_is_loaded(
    make_world: Callable[..., World], tmp_path: Path, logo: bytes, kind: str, width: int
) -> None:
    (tmp_path / "logo").write_bytes(logo)
    world = make_world(pages__logo=str(tmp_path / "logo"))
    assert f'<img src="/logo" alt="" height="24" width="{width}">' in world.browser()("GET", "/nowhere", **HTML).text
    answer = world.browser()("GET", "/logo")
    assert (answer.body, answer.content_type, answer.headers["X-Content-Type-Options"]) == (logo, kind, "nosniff")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert world.browser()("GET", "/logo", If_None_Match=answer.headers["ETag"]).status_int == 304


def test_without_a_logo_there_is_none(world: World) -> None:
    assert refusal(world.browser()("GET", "/logo")) == (404, ko(110, "not found"))
    assert 'src="/static/icon.svg"' in world.browser()("GET", "/", **HTML).text


def test_a_logo_that_is_no_picture_stops_the_start(make_world: Callable[..., World], tmp_path: Path) -> None:
    (tmp_path / "logo").write_bytes(b"GIF89a")
    with pytest.raises(SettingError, match=r"^pages\.logo: must be a PNG or SVG file of up to 65536 bytes \(it is neither\)$"):
        make_world(pages__logo=str(tmp_path / "logo"))


def test_a_session_that_is_over_is_nobodys(world: World) -> None:
    ann = world.person(ANN)
    world.clock.advance(43_201)
    assert ANN not in ann("GET", "/", **HTML).text


def test_a_page_comes_also_while_the_directory_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, asked = world.person(ANN), []

    def away(*_: object) -> None:
        asked.append(1)
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.directory, "session", away)
    assert ann("GET", "/", **HTML).status_int == 200
    answer = ann("GET", "/sidebar", **HTML)
    assert (answer.status_int, ANN in answer.text, len(asked)) == (503, False, 2), "it was not asked again to say that it is away"


def test_files_are_looked_at_again_each_time(world: World) -> None:
    browser = world.browser()
    for name in ("style.css", "page.js", "icon.svg", "presence.js"):
        answer = browser("GET", f"/static/{name}")
        assert (answer.status_int, answer.headers["Cache-Control"]) == (200, "public, no-cache"), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = browser("GET", f"/static/{name}", If_None_Match=answer.headers["ETag"])
        assert (again.status_int, again.body) == (304, b"")


def test_a_file_of_an_earlier_version_replaces_a_later_one_whatever_its_time(world: World) -> None:
    answer = world.browser()("GET", "/static/page.js", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT", If_None_Match='"later"')
    assert answer.status_int == 200 and "Last-Modified" not in answer.headers
    assert world.browser()("GET", "/static/page.js", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT").status_int == 200


def raw(world: World, path: str, **headers: str) -> Response:
    """Return an answer as it is sent: WebTest would unpack it."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Request.blank(path, headers=given).get_response(world.browser().web.app)
    answer.body  # noqa: B018  reads and closes the file
    return answer


@pytest.mark.parametrize(
    "path", ["/static/style.css", "/static/page.js", "/static/texts-de.js", "/service-worker.js", "/manifest.webmanifest"]
)
def test_files_are_compressed_for_clients_that_accept_it(world: World, path: str) -> None:
    plain, packed = raw(world, path), raw(world, path, Accept_Encoding="gzip, br")
    assert (plain.content_encoding, plain.headers["Vary"]) == (None, "Accept-Encoding")
    assert (packed.content_encoding, packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert packed.content_length < plain.content_length and gzip.decompress(packed.body) == plain.body
    for refused in ("", "br", "gzip;q=0", "identity"):
        assert raw(world, path, Accept_Encoding=refused).content_encoding is None, refused


def test_a_compressed_copy_is_revalidated_and_a_part_of_a_file_is_not_compressed(world: World) -> None:
    for path in ("/static/style.css", "/static/texts-de.js"):
        known = raw(world, path, Accept_Encoding="gzip").headers["ETag"]
        assert raw(world, path, Accept_Encoding="gzip", If_None_Match=known).status_int == 304
    part = raw(world, "/static/style.css", Accept_Encoding="gzip", Range="bytes=0-9")
    assert (part.status_int, len(part.body), part.content_encoding) == (206, 10, None)
    files = ("/static/style.css", "/static/texts-de.js")
    tags = {raw(world, path, Accept_Encoding=encoding).etag for path in files for encoding in ("gzip", "")}
    assert len(tags) == 4, "a cache never mixes the two"


def test_no_page_and_no_data_is_compressed(world: World) -> None:
    for path in ("/", "/login", "/nowhere", "/__version__"):
        assert raw(world, path, **HTML, Accept_Encoding="gzip").content_encoding is None, path


def test_only_the_client_is_for_pages_of_other_origins(world: World) -> None:
    allowed = {}
    client = [path.name for path in (Path(views.__file__).parents[1] / "static").glob("presence*.js")]
    for name in (*client, "page.js", "shared-device.js", "style.css"):
        headers = world.browser()("GET", f"/static/{name}").headers
        allowed[name] = headers.get("Access-Control-Allow-Origin"), headers.get("Cross-Origin-Resource-Policy")
    others = ["page.js", "shared-device.js", "style.css"]
    assert allowed == {**dict.fromkeys(client, ("*", "cross-origin")), **dict.fromkeys(others, (None, "same-origin"))}
    assert "presence.js" in client and len(client) > 1, "the parts it imports are as free"


@pytest.mark.parametrize("path", ["/static/", "/static/nothing.js", "/static/..%2Fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_nothing_else_is_served(world: World, path: str) -> None:
    assert refusal(world.browser()("GET", path)) == (404, ko(111, "there is no such path"))


def test_a_page_that_was_opened_before_somebody_else_signed_in_reads_nothing_of_theirs(world: World) -> None:
    browser = world.person(ANN)
    old = browser.csrf or ""
    browser.csrf = browser("POST", "/login", {"assertion": world.assertion("bob@example.org")}).json["csrf"]
    for path in ("/devices", "/grants", "/account", "/myapps"):
        assert browser("GET", path).status_int == 200
        assert refusal(browser("GET", path, X_CSRF_Token=old))[0] == 403
    browser.csrf = None
    assert browser("GET", "/grants").status_int == 200, "who reads needs none"


@pytest.mark.parametrize("path", ["/\xff", "/grant/\xff", "/static/\xff"])
def test_a_path_that_is_no_text_is_a_page_that_is_not_there(world: World, path: str) -> None:
    request = Request.blank("/", {"PATH_INFO": path}, headers=HTML)
    answer = request.get_response(world.browser().web.app)
    assert (answer.status_int, answer.content_type) == (404, "text/html")
    assert "Page not found" in answer.text and 'href="/login"' in answer.text


def test_a_head_request_of_a_page_is_redirected_the_same_way(world: World) -> None:
    answer = world.browser()("HEAD", "/sidebar", **HTML)
    assert answer.status_int == 303 and answer.headers["Location"].endswith("/login?next=%2Fsidebar")
