"""Pyramid's request with the types of what this service adds to it."""

from __future__ import annotations

from typing import TypedDict, cast

from pyramid import request as pyramid_request

from .backends.directory import Requester, SignedIn
from .errors import Forbidden, NoCredentials
from .identity.oidc_client import Attempt, OidcClient
from .model import Account, Application, Grant, Session
from .registry import KEY, Registry
from .service import Services


class Validated(TypedDict, total=False):
    """Results of the validators, by key; a view finds those of the validators it names."""

    account: Account
    requester: Requester
    signed_in: SignedIn
    session: Session
    application: Application
    grant: Grant
    body: object
    after: str
    limit: int
    puids: list[str]
    puid: str
    client: OidcClient
    attempt: Attempt
    answer: dict[str, str]
    next: str
    logout_token: str


class Request(pyramid_request.Request):
    """A request to this service.

    :ivar validated: set by Cornice before the first validator runs.
    :ivar form_fields: fields of an HTML form, once ``views.validators.form`` has parsed it.
    """

    validated: Validated
    form_fields: dict[str, str] | None = None

    @property
    def shared(self) -> Registry:
        """The objects that requests share."""
        return cast("Registry", self.registry[KEY])

    @property
    def api_key(self) -> str:
        """The API key in the header.

        :raises NoCredentials: there is none.
        """
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NoCredentials("Authorization: Bearer and an API key")
        return str(key.strip())

    @property
    def services(self) -> Services:
        """The service."""
        return self.shared.services

    def check_origin(self) -> None:
        """Refuse a request from a page of another origin.

        :raises Forbidden: the request has an ``Origin`` that is not the audience.
        """
        if self.headers.get("Origin") not in (None, self.shared.settings.identity.audience):
            raise Forbidden("Origin: not a page of this service")
