"""The contract as machines and people read it (docs/protocol.md, section 6, The contract for machines)."""

from __future__ import annotations

from typing import cast

from pyramid.config import Configurator
from pyramid.response import Response

from .. import __version__
from ..contract import Contract, Document
from ..registry import KEY
from ..request import Request
from . import cornice_service

openapi = cornice_service("openapi", "/__api__")
asyncapi = cornice_service("asyncapi", "/__api__/asyncapi")


_KEY = "dpresence.contract"


@openapi.get()
def get_openapi(request: Request) -> Response:
    """Return the OpenAPI document of REST, or 304 if the client's copy is current."""
    return _answer(_contract(request).openapi)


@asyncapi.get()
def get_asyncapi(request: Request) -> Response:
    """Return the AsyncAPI document of the channels, or 304 if the client's copy is current."""
    return _answer(_contract(request).asyncapi)


def _answer(document: Document) -> Response:
    response = Response(document.body, content_type="application/json", charset=None, conditional_response=True)
    response.etag, response.cache_control = document.etag, "public, no-cache"
    return response


def _contract(request: Request) -> Contract:
    return cast("Contract", request.registry[_KEY])


def includeme(config: Configurator) -> None:
    """Add the views, and the documents, which are generated when they are first requested."""
    config.registry[_KEY] = Contract(config.registry[KEY].settings, __version__)
    config.scan(__name__)
