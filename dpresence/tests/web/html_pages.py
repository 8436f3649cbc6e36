"""Pages of the service as a browser gets them."""

from __future__ import annotations

from html import unescape

from dpresence.tests.web.support import Browser

HTML = {"Accept": "text/html,application/xhtml+xml"}


def html(browser: Browser, path: str, status: int = 200) -> str:
    """Return the text of a page."""
    answer = browser("GET", path, **HTML)
    assert (answer.status_int, answer.content_type) == (status, "text/html"), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    return unescape(answer.text)
