"""The calls to sign in and out, and to pair a device; see ``operations``."""

from __future__ import annotations

from ..messages import (
    BeginPairing,
    Empty,
    JwkSet,
    LoggedIn,
    LoggedOut,
    Login,
    Logout,
    NewCredential,
    NewTicket,
    PairingAnswer,
    PairingAnswered,
    PairingQuestion,
    RedeemPairing,
    StartedPairing,
)
from .operation import Operation

SIGNING_IN = (
    Operation("GET /sidebar", "getSidebar", "The page My presence", "session", {200: str}, errnos=(111,), page=True),
    Operation("GET /manifest.webmanifest", "getManifest", "The manifest of the pages as an app", "anybody", {200: bytes}),
    Operation("GET /service-worker.js", "getServiceWorker", "The service worker of the pages", "anybody", {200: bytes}),
    Operation("GET /offline", "getOffline", "The page for outages", "anybody", {200: str}, errnos=(111,), page=True),
    Operation("GET /logo", "getLogo", "The operator's logo", "anybody", {200: bytes, 304: None}, errnos=(110,)),
    Operation("GET /login", "getLogin", "The page to sign in", "anybody", {200: str}, errnos=(115,), query=("next",), page=True),
    Operation(
        "POST /login",
        "postLogin",
        "Open a browser session with an assertion",
        "anybody",
        {200: LoggedIn},
        body=Login,
        errnos=(34, 121, 122, 130),
    ),
    Operation(
        "GET /login/{provider}",
        "getAway",
        "Send the browser to an OpenID Connect provider",
        "anybody",
        {303: None},
        errnos=(110,),
        query=("next",),
    ),
    Operation(
        "GET /login/{provider}/callback",
        "getBack",
        "Open a session with the provider's answer",
        "anybody",
        {303: None},
        errnos=(34, 110, 121, 122, 130),
    ),
    Operation(
        "POST /logout", "postLogout", "End this browser session, or everything", "session", {200: LoggedOut}, body=Logout, optional=True
    ),
    Operation("POST /ticket", "postTicket", "Get a ticket for the device channel", "session", {200: NewTicket}, body=Empty, optional=True),
    Operation("GET /login/buttons.css", "getButtons", "The colours of the sign-in buttons", "anybody", {200: bytes}),
    Operation("GET /login/{provider}/icon", "getIcon", "The icon of a sign-in button", "anybody", {200: bytes}, errnos=(110,)),
    Operation(
        "GET /login/{provider}/jwks",
        "getJwks",
        "The public keys of this service as a client of a provider",
        "anybody",
        {200: JwkSet},
        errnos=(110,),
    ),
    Operation(
        "POST /login/{provider}/backchannel-logout",
        "postBackchannelLogout",
        "End what an OpenID Connect provider has ended",
        "anybody",
        {200: LoggedOut},
        errnos=(108, 110, 144),
        form=("logout_token",),
    ),
)
"""Signing in and out, also at an OpenID Connect provider."""
PAIRING = (
    Operation("POST /pair", "beginPairing", "Get the codes of a new pairing", "anybody", {201: StartedPairing}, body=BeginPairing),
    Operation(
        "POST /pair/token",
        "redeemPairing",
        "Get the credential of a device",
        "anybody",
        {200: NewCredential},
        body=RedeemPairing,
        errnos=(143,),
    ),
    Operation(
        "GET /pair",
        "getPairing",
        "Read which device shows a code",
        "session",
        {200: PairingQuestion},
        errnos=(110,),
        query=("code",),
        page=True,
    ),
    Operation(
        "GET /pair/qr",
        "getQr",
        "The page of a code as a QR code: SVG, or text",
        "anybody",
        {200: bytes},
        errnos=(110,),
        query=("code",),
    ),
    Operation(
        "POST /pair/answer",
        "postAnswer",
        "Allow or deny a device",
        "session",
        {200: PairingAnswered, 303: None},
        body=PairingAnswer,
        errnos=(110,),
    ),
)
"""Pairing of devices without a browser."""
