"""Validators of the Cornice services: authentication, then existence, then the body. Each fills one key of ``request.validated``,
and the view handles the valid request only. A refusal is raised and ``errors`` turns it into a response.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl

from ..errors import Forbidden, InvalidAssertion, NoCredentials, TooLarge, WrongValue
from ..messages import MAX_ENTRIES, Empty, parse
from ..model import Account
from ..request import Request
from ..service.accounts import TICKET_PREFIX, csrf_token
from ..service.api_keys import KEY_PREFIX
from ..service.pairing import CREDENTIAL_PREFIX

T = TypeVar("T")

FORM_BYTES = 16384
"""Maximum size of a form; decoding takes up to a microsecond per percent escape."""
_SAFE_METHODS = ("GET", "HEAD")


def cookie_name(request: Request) -> str:
    """Return the name of the session cookie; over https it has a prefix that prevents other hosts from setting it."""
    return "__Host-dpresence" if request.shared.secure else "dpresence"


# -- authentication


def user(request: Request, **_: Any) -> None:
    """Fill ``account`` and ``requester`` from an assertion in the header, or from the session cookie and its CSRF token.

    :raises NoCredentials: the request has neither.
    :raises InvalidAssertion: the assertion is invalid; the cookie is then ignored.
    :raises Forbidden: a request that changes something lacks the CSRF token, or comes from a page of another origin.
    """
    scheme, _, assertion = request.headers.get("Authorization", "").partition(" ")
    if not scheme and cookie_name(request) in request.cookies:
        session(request)
    elif scheme.lower() not in ("browserid", "bearer"):
        raise NoCredentials("Authorization: BrowserID or Bearer, and an assertion")
    else:
        check_is_assertion(assertion.strip())
        account = request.services.accounts.verify(assertion.strip(), request.remote_addr)
        request.validated["account"] = request.validated["requester"] = account


def check_is_assertion(text: str) -> None:
    """Refuse a credential of another kind. This is not a guessed credential, so it does not count against the rate limit.

    :raises InvalidAssertion: the message names the purpose of the credential.
    """
    if text.startswith(KEY_PREFIX):
        raise InvalidAssertion(
            "an API key", "Invalid assertion: an API key is for an app service's calls; this call needs a user's assertion"
        )
    if text.startswith(TICKET_PREFIX):
        raise InvalidAssertion("a ticket", "Invalid assertion: a ticket opens the device channel and nothing else")
    if text.startswith(CREDENTIAL_PREFIX):
        raise InvalidAssertion("a device credential", "Invalid assertion: a device credential opens the device channel and nothing else")


def session(request: Request, **_: Any) -> None:
    """Fill ``session``, ``account`` and ``requester`` (both) from the cookie; requests that change something need the CSRF token.

    Pages also send the token with read requests, so that a page that was opened before another user signed in shows none of the other
    user's data.

    :raises NoCredentials: there is no cookie.
    :raises SessionEnded: its session has ended.
    :raises Forbidden: see ``user``.
    """
    cookie = request.cookies.get(cookie_name(request))
    if not cookie:
        raise NoCredentials(f"Cookie: {cookie_name(request)}, which a sign-in sets")
    signed_in = request.validated["requester"] = request.validated["signed_in"] = request.services.accounts.session(cookie)
    request.validated["session"], request.validated["account"] = signed_in
    if request.method not in _SAFE_METHODS or "X-CSRF-Token" in request.headers:
        _check_csrf(request, cookie)


def _check_csrf(request: Request, cookie: str) -> None:
    same_origin(request)
    given = request.headers.get("X-CSRF-Token") or (is_form(request) and form(request).get("csrf", "").partition(".")[0]) or ""
    if not hmac.compare_digest(given.encode(), csrf_token(cookie).encode()):
        raise Forbidden("X-CSRF-Token: is missing or not that of this session")


def same_origin(request: Request, **_: Any) -> None:
    """Refuse requests from pages of other origins.

    :raises Forbidden: the request has an ``Origin`` that is not the audience.
    """
    request.check_origin()


def is_operator(request: Request, account: Account) -> bool:
    """Return whether an account's e-mail address is one of ``admin.emails``; both are normalized."""
    return account.email in request.shared.settings.admin.emails


def operator(request: Request, **_: Any) -> None:
    """Fill ``session`` and ``account`` with those of an operator.

    :raises NoCredentials: see ``session``.
    :raises Forbidden: ``admin.emails`` does not contain the caller's e-mail address.
    """
    session(request)
    if not is_operator(request, request.validated["account"]):
        raise Forbidden("admin.emails: does not name you")


def appservice(request: Request, **_: Any) -> None:
    """Fill ``application`` from the API key in the header.

    :raises NoCredentials: there is no key.
    :raises InvalidKey: the key does not belong to the application in the path, or that application does not exist.
    """
    application = request.services.api_keys.authenticate(request.matchdict["appid"], request.api_key, request.remote_addr)
    request.validated["application"] = application


# -- existence


def owned_application(request: Request, **_: Any) -> None:
    """Fill ``application`` with the caller's application in the path.

    :raises NotFound: the caller has no such application.
    """
    owner = request.validated["account"].id
    request.validated["application"] = request.services.applications.owned(owner, request.matchdict["appid"])


def grantable_application(request: Request, **_: Any) -> None:
    """Fill ``application`` with the application in the path, which users may grant access.

    :raises NotFound: the application does not exist.
    :raises DomainNotValidated: its domain is not validated.
    :raises NotActive: it is not active.
    """
    request.validated["application"] = request.services.grants.grantable(request.matchdict["appid"])


def own_grant(request: Request, **_: Any) -> None:
    """Fill ``grant`` with the caller's grant to the application in the path.

    :raises NotFound: there is no such grant.
    """
    request.validated["grant"] = request.services.grants.find(request.validated["account"].id, request.matchdict["appid"])


def revocable_grant(request: Request, **_: Any) -> None:
    """Accept the caller's grant to the application in the path, also one that has ended but whose end was not yet sent.

    :raises NotFound: there is neither.
    """
    request.services.grants.revocable(request.validated["account"].id, request.matchdict["appid"])


# -- the body, which ``channels.http`` has read and limited


def is_form(request: Request) -> bool:
    """Return whether the body is an HTML form."""
    return bool(request.content_type == "application/x-www-form-urlencoded")


def form(request: Request) -> dict[str, str]:
    """Return the fields of an HTML form.

    :raises TooLarge: it exceeds ``FORM_BYTES``.
    :raises WrongValue: it is not a form in UTF-8.
    """
    if request.form_fields is None:
        data = request.body
        if len(data) > FORM_BYTES:
            raise TooLarge(f"a form may have {FORM_BYTES} bytes")
        try:
            text = data.decode("ascii")
            request.form_fields = dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100))
        except ValueError:
            raise WrongValue("the body: a form of up to 100 fields, in UTF-8") from None
    return request.form_fields


@dataclass(frozen=True, slots=True)
class Body(Generic[T]):
    """A validator that parses the body.

    :param kind: a struct of ``messages``.
    :param optional: whether an empty body stands for ``{}``.
    """

    kind: type[T]
    optional: bool = False

    def __call__(self, request: Request, **_: Any) -> None:
        """Fill ``body``.

        :raises Refused: see ``parse``.
        """
        request.validated["body"] = parse(self.kind, request.body or (b"{}" if self.optional else b""))

    def of(self, request: Request) -> T:
        """Return the body that this validator has parsed."""
        return cast("T", request.validated["body"])


no_body = Body(Empty, optional=True)


def unless_form(body: Body[Any]) -> Callable[..., None]:
    """Return a validator that parses the body unless it is an HTML form."""

    def validate(request: Request, **kwargs: Any) -> None:
        if not is_form(request):
            body(request, **kwargs)

    return validate


# -- pages of lists


def paging(request: Request, **_: Any) -> None:
    """Fill ``after`` and ``limit`` from the query.

    :raises WrongValue: ``limit`` is not a number from 1 to 500.
    """
    limit = request.GET.get("limit", str(MAX_ENTRIES))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= MAX_ENTRIES):
        raise WrongValue(f"limit: a number from 1 to {MAX_ENTRIES}")
    request.validated["after"] = request.GET.get("after", "")
    request.validated["limit"] = int(limit)
