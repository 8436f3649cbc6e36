"""Pairing of devices without a browser (docs/protocol.md, section 6)."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any, Literal

import segno
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response

from ..errors import NotFound, WrongField
from ..messages import BeginPairing, NewCredential, PairingAnswer, PairingAnswered, PairingQuestion, RedeemPairing, StartedPairing
from ..request import Request
from ..service.pairing import CODE_LENGTH, POLL_SECONDS, canonical_code, shown_code
from . import cornice_service, templates
from .grant_form import check_age, form_token_of
from .pages import page, redirect_to_audience, wants_page
from .validators import Body, form, is_form, session

pair = cornice_service("pair", "/pair")
token = cornice_service("pair token", "/pair/token")
qr = cornice_service("pair qr", "/pair/qr")
answer = cornice_service("pair answer", "/pair/answer")

beginning, redeeming, given = Body(BeginPairing), Body(RedeemPairing), Body(PairingAnswer)
_OUTCOMES: dict[str, Literal["allowed", "denied"]] = {"allowed": "allowed", "denied": "denied"}


@pair.post(validators=(beginning,))
def begin_pairing(request: Request) -> StartedPairing:
    """Return the codes of a new pairing."""
    body = beginning.of(request)
    started = request.services.pairings.begin(body.device, body.client, request.remote_addr)
    request.response.status_int = 201
    uri, code = _page_uri(request), shown_code(started.pairing.code)
    seconds = request.shared.settings.identity.pairing_seconds
    return StartedPairing(started.device_code, code, uri, f"{uri}?code={code}", seconds, POLL_SECONDS)


@token.post(validators=(redeeming,))
def redeem_pairing(request: Request) -> NewCredential:
    """Return the credential of a pairing that the user has allowed."""
    credential, paired = request.services.pairings.redeem(redeeming.of(request).device_code, request.remote_addr)
    return NewCredential(credential, paired.account.email, paired.credential.device)


@qr.get()
def get_qr(request: Request) -> Response:
    """Return the address of the page, with a code, as a QR code. It does not reveal whether the code exists."""
    code = canonical_code(request.GET.get("code", ""))
    if len(code) != CODE_LENGTH:
        raise NotFound()
    picture = segno.make(f"{_page_uri(request)}?code={shown_code(code)}", micro=False)
    if "text/plain" in str(request.accept):
        text = StringIO()
        picture.terminal(text, compact=True, border=2)
        return Response(text.getvalue(), content_type="text/plain", charset="utf-8")
    svg = BytesIO()
    picture.save(svg, kind="svg", scale=6, xmldecl=False, light="#fff")
    return Response(svg.getvalue(), content_type="image/svg+xml")


@pair.get(validators=(redirect_to_audience, session))
def get_pairing(request: Request) -> Response | PairingQuestion:
    """Ask the user for a code, or whether the device that shows it may connect."""
    code = request.GET.get("code", "")
    if not wants_page(request):
        return PairingQuestion.of(_find(request, code))
    outcome = _OUTCOMES.get(request.GET.get("answered", ""))
    try:
        pairing = _find(request, code) if code else None
    except NotFound:
        return page(request, templates.Pair(None, "", wrong=code, outcome=None), status=404)
    return page(request, templates.Pair(pairing, form_token_of(request) if pairing else "", wrong="", outcome=outcome))


def _find(request: Request, code: str) -> Any:
    return request.services.pairings.find(code, request.validated["account"].id, request.remote_addr)


def _json_answer(request: Request, **kwargs: Any) -> None:
    if not is_form(request):
        given(request, **kwargs)


@answer.post(validators=(session, _json_answer))
def post_answer(request: Request) -> Response | PairingAnswered:
    """Allow or deny a device: returns JSON to a program, and redirects a form to the page."""
    signed, services = request.validated["signed_in"], request.services
    if not is_form(request):
        body = given.of(request)
        services.pairings.answer(body.code, body.allow, signed, request.remote_addr)
        return PairingAnswered()
    fields = form(request)
    if ("allow" in fields) == ("deny" in fields):
        raise WrongField("allow: is missing; either allow or deny")
    check_age(request)
    services.pairings.answer(fields.get("code", ""), "allow" in fields, signed, request.remote_addr)
    return HTTPSeeOther(f"{request.script_name}/pair?answered={'allowed' if 'allow' in fields else 'denied'}")


def _page_uri(request: Request) -> str:
    return f"{request.shared.settings.identity.home}/pair"
