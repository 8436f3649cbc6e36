"""What makes the pages an app that browsers install: its manifest, its service worker, and the page for outages (docs/pages.md)."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

import msgspec
from pyramid.response import Response

from ..request import Request
from . import cornice_service, templates
from .compression import compress
from .headers import REVALIDATED
from .pages import for_browsers, page

manifest = cornice_service("manifest", "/manifest.webmanifest")
service_worker = cornice_service("service worker", "/service-worker.js")
offline = cornice_service("offline", "/offline")

WORKER_POLICY = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
_VERSION = 'const VERSION = "development";'
_ICONS = (
    ("icon.svg", "any", "any"),
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-full.png", "512x512", "maskable"),
)


@manifest.get()
def get_manifest(request: Request) -> Response:
    """Return the manifest of the app."""
    root, name = request.script_name, request.shared.settings.pages.operator or "dpresence"
    document = {
        "id": f"{root}/",
        "name": name,
        "short_name": name,
        "start_url": f"{root}/sidebar",
        "scope": f"{root}/",
        "display": "standalone",
        "background_color": "#f5f5f2",
        "theme_color": "#f5f5f2",
        "icons": [
            {
                "src": f"{root}/static/{file}",
                "sizes": sizes,
                "type": "image/svg+xml" if file.endswith("svg") else "image/png",
                "purpose": use,
            }
            for file, sizes, use in _ICONS
        ],
    }
    return _file(request, msgspec.json.encode(document), "application/manifest+json")


@service_worker.get()
def get_service_worker(request: Request) -> Response:
    """Return the service worker, with the version of the pages in it."""
    response = _file(request, _worker(), "text/javascript")
    response.headers["Content-Security-Policy"] = WORKER_POLICY
    return response


@offline.get(validators=(for_browsers,))
def get_offline(request: Request) -> Response:
    """Return the page that the service worker stores, and shows while the service cannot be reached."""
    return page(request, templates.Offline())


def _file(request: Request, body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type, charset="utf-8")
    response.headers["Cache-Control"] = REVALIDATED
    return compress(request, response)


@cache
def _worker() -> bytes:
    """Return the text of the service worker. Its version is a digest of all files of the pages: a change of any makes a new worker."""
    package = files("dpresence")
    digest = sha256()
    for folder in ("static", "templates", "languages"):
        for file in sorted(package.joinpath(folder).iterdir(), key=lambda file: file.name):
            digest.update(file.read_bytes())
    text = package.joinpath("static", "service-worker.js").read_text(encoding="utf-8")
    return text.replace(_VERSION, f'const VERSION = "{digest.hexdigest()[:16]}";').encode()
