"""The contract as machines and people read it (docs/protocol.md, section 6, The contract for machines)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.renderers import render
from pyramid.response import Response

from .. import RELEASE
from ..contract import Contract, Document
from ..registry import KEY
from ..request import Request
from . import cornice_service, templates
from .headers import REVALIDATED
from .pages import for_browsers, page, redirect_to_audience

openapi = cornice_service("openapi", "/__api__")
asyncapi = cornice_service("asyncapi", "/__api__/asyncapi")
docs = cornice_service("api_docs", "/__api__/docs")
_KEY = "dpresence.contract"


@dataclass(frozen=True)
class ContractDocuments:
    """The documents of a service, and their page. Each is made when it is first requested."""

    contract: Contract

    @cached_property
    def content(self) -> Markup:
        """The part of the page that is the same for everybody."""
        rest = self.contract.openapi.content
        variables = {"openapi": rest, "asyncapi": self.contract.asyncapi.content, "common": _common_errors(rest)}
        return Markup(render(f"dpresence:templates/{templates.ApiContent.name}.jinja2", variables))  # noqa: S704  # a template, which escapes


def _common_errors(rest: dict[str, Any]) -> dict[str, str]:
    """Return the description of each refusal that every call may answer, by HTTP status."""
    calls = [call["responses"] for path in rest["paths"].values() for method, call in path.items() if method != "parameters"]
    descriptions = [{status: answer["description"] for status, answer in answers.items() if status >= "400"} for answers in calls]
    return {status: text for status, text in descriptions[0].items() if all(each.get(status) == text for each in descriptions)}


@openapi.get()
def get_openapi(request: Request) -> Response:
    """Return the OpenAPI document of REST, or 304 if the client's copy is current."""
    return _answer(_documents(request).contract.openapi)


@asyncapi.get()
def get_asyncapi(request: Request) -> Response:
    """Return the AsyncAPI document of the channels, or 304 if the client's copy is current."""
    return _answer(_documents(request).contract.asyncapi)


@docs.get(validators=(for_browsers, redirect_to_audience))
def get_docs(request: Request) -> Response:
    """Return both documents as a page."""
    return page(request, templates.Api(_documents(request).content))


def _answer(document: Document) -> Response:
    response = Response(document.body, content_type="application/json", charset=None, conditional_response=True)
    response.etag, response.cache_control = document.etag, REVALIDATED
    return response


def _documents(request: Request) -> ContractDocuments:
    documents: ContractDocuments = request.registry[_KEY]
    return documents


def includeme(config: Configurator) -> None:
    """Add the views and what they serve."""
    config.registry[_KEY] = ContractDocuments(Contract(config.registry[KEY].settings, RELEASE))
    config.scan(__name__)
