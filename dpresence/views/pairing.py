"""Pairing of devices without a browser (docs/protocol.md, section 6)."""

from __future__ import annotations

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response

from ..errors import NotFound
from ..messages import BeginPairing, NewCredential, PairingAnswer, PairingAnswered, PairingQuestion, RedeemPairing, StartedPairing
from ..model import Pairing
from ..request import Request
from ..service.pairing import CODE_LENGTH, POLL_SECONDS, canonical_code, shown_code
from . import cornice_service, templates
from .consent_form import check_age, form_token_of, is_allowed
from .pages import page, redirect_to_audience, wants_page
from .validators import Body, form, is_form, session, unless_form

pair = cornice_service("pair", "/pair")
token = cornice_service("pair token", "/pair/token")
qr = cornice_service("pair qr", "/pair/qr")
answer = cornice_service("pair answer", "/pair/answer")

beginning, redeeming, given = Body(BeginPairing), Body(RedeemPairing), Body(PairingAnswer)


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
    as_text = "text/plain" in str(request.accept)
    picture = request.services.pairings.qr_codes.picture(f"{_page_uri(request)}?code={shown_code(code)}", as_text, request.remote_addr)
    return Response(picture, content_type="text/plain" if as_text else "image/svg+xml", charset="utf-8" if as_text else None)


@pair.get(validators=(redirect_to_audience, session))
def get_pairing(request: Request) -> Response | PairingQuestion:
    """Ask the user for a code, or whether the device that shows it may connect."""
    code = request.GET.get("code", "")
    if not wants_page(request):
        return PairingQuestion.of(_find(request, code))
    try:
        pairing = _find(request, code) if code else None
    except NotFound:
        return page(request, templates.Pair(wrong=code), status=404)
    if pairing is None:
        return page(request, templates.Pair(outcome=request.GET.get("answered")))
    return page(request, templates.Pair(pairing, shown_code(pairing.code), form_token_of(request)))


def _find(request: Request, code: str) -> Pairing:
    return request.services.pairings.find(code, request.validated["account"].id, request.remote_addr)


@answer.post(validators=(session, unless_form(given)))
def post_answer(request: Request) -> Response | PairingAnswered:
    """Allow or deny a device: returns JSON to a program, and redirects a form to the page."""
    signed_in, services = request.validated["signed_in"], request.services
    if not is_form(request):
        body = given.of(request)
        services.pairings.answer(body.code, body.allow, signed_in, request.remote_addr)
        return PairingAnswered()
    allowed = is_allowed(request)
    check_age(request)
    services.pairings.answer(form(request).get("code", ""), allowed, signed_in, request.remote_addr)
    return HTTPSeeOther(f"{request.script_name}/pair?answered={'allowed' if allowed else 'denied'}")


def _page_uri(request: Request) -> str:
    return f"{request.shared.settings.identity.home}/pair"
