"""The variables of each page's template, besides those that every page has (``pages.Visitor``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from ..identity.oidc_client import OidcClient
from ..model import Application, Grant, Pairing, Status
from ..model.webhooks import Webhook
from .error_texts import Explanation

State = Literal["registered", "validated", "active"]
"""The step that an application has reached."""


HUES = 12
"""Number of hues of the signs of applications (docs/design.md)."""


def sign(root: str, application: Application) -> Markup:
    """Return the sign of an application: its icon, else the first letter of its domain; ``static/application-sign.js`` makes the same.

    :param root: path of this service, without a final slash.
    """
    if application.icon:
        return Markup('<img class="sign" src="{}{}" alt="" width="40" height="40">').format(root, application.icon_path)
    hue = sum(application.id.encode()) % HUES
    return Markup('<span class="sign" data-hue="{}" aria-hidden="true">{}</span>').format(hue, application.domain[0].upper())


@dataclass(frozen=True, slots=True)
class Template:
    """A page. A subclass names its file in ``templates/``; its fields are the variables."""

    name: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Home(Template):
    """The home page."""

    name = "home"
    audience: str


@dataclass(frozen=True, slots=True)
class Offline(Template):
    """The page for outages, which browsers store."""

    name = "offline"


@dataclass(frozen=True, slots=True)
class Login(Template):
    """The sign-in page.

    :param next: path to go to after the sign-in.
    :param issuers: names of the BrowserID issuers.
    :param asking: the application whose request for access leads here, None without one.
    :param token_file: name of the file with the development token, if this browser has not sent it; else None.
    """

    name = "login"
    next: str
    asking: Application | None
    providers: Sequence[OidcClient]
    issuers: Sequence[str]
    token_file: str | None


@dataclass(frozen=True, slots=True)
class Sidebar(Template):
    """The page with the user's status, devices, grants and notifications, which it loads itself.

    :param inbox_days: how long notifications stay in the inbox; 0 if there are no inboxes.
    """

    name = "sidebar"
    inbox_days: int


@dataclass(frozen=True, slots=True)
class MyApps(Template):
    """A page of a developer's applications.

    :param following: ``after`` of the next page, None on the last one.
    """

    name = "myapps"
    applications: Sequence[tuple[Application, State]]
    following: str | None
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class OneApplication(Template):
    """The page of one application.

    :param webhook: its webhook, None without one.
    :param socket: base URL of this service's websockets.
    """

    name = "application"
    application: Application
    state: State
    webhook: Webhook | None
    socket: str


@dataclass(frozen=True, slots=True)
class Question(Template):
    """The question whether to grant an application access.

    :param granted: the existing grant, if there is one.
    :param status: merged status of the user's connected devices, None without any.
    :param quiet: true during quiet hours of the user.
    """

    name = "grant"
    application: Application
    redirect: str
    granted: Grant | None
    form_token: str
    status: Status | None
    quiet: bool


@dataclass(frozen=True, slots=True)
class Pair(Template):
    """The page that pairs a device: it asks for a code, then whether the device may connect.

    :param pairing: the pairing of the code, None without a code.
    :param code: its code, as the device shows it.
    :param wrong: a code that was entered and does not exist, "" without one.
    :param outcome: the answer that the user has just given: ``allowed`` or ``denied``; anything else is none.
    """

    name = "pair"
    pairing: Pairing | None = None
    code: str = ""
    form_token: str = ""
    wrong: str = ""
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Admin(Template):
    """The operator's page, which loads the figures itself."""

    name = "admin"


@dataclass(frozen=True, slots=True)
class Api(Template):
    """The page that shows the contract.

    :param content: the rendered ``ApiContent``, which is the same for everybody.
    """

    name = "api"
    content: Markup


@dataclass(frozen=True, slots=True)
class ApiContent(Template):
    """The contract as a part of a page.

    :param openapi: the OpenAPI document.
    :param asyncapi: the AsyncAPI document.
    :param common: refusals that every call may answer, by HTTP status.
    """

    name = "api-content"
    openapi: dict[str, object]
    asyncapi: dict[str, object]
    common: dict[str, str]


@dataclass(frozen=True, slots=True)
class Error(Template):
    """A refusal.

    :param way: address of the first button, None without one.
    :param question: the refusal is of an answer to a ``Question``.
    :param error: the service's error text.
    :param retry_after: seconds, or None.
    """

    name = "error"
    explanation: Explanation
    way: str | None
    question: bool
    errno: int
    error: str
    retry_after: int | None
