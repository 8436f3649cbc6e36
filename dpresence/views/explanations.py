"""Texts of the error pages: what happened, whose fault it is, what to do. The page shows the service's error text below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import Details

Way = Literal["", "again", "sign in"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The texts for one errno.

    :param title: what happened, in a few words.
    :param what: the same in a sentence or two, with whose fault it is.
    :param do: what the person can do about it.
    :param way: where the first button leads, besides the one to the home page.
    """

    title: str
    what: str
    do: str
    way: Way = ""


_NOTHING = "The application got no access."
_LINK = f"The site that sent you here made a mistake in its link; you did nothing wrong. {_NOTHING}"

OTHERS = Explanation("That did not work", "The service refused the request for the reason below.", "Go back and try again.")

ANYWHERE: dict[int, Explanation] = {
    34: Explanation("Your sign-in was not accepted", "The proof of your identity is invalid or too old.", "Sign in again.", "sign in"),
    104: Explanation("You are not signed in", "You have to sign in to see this page.", "Sign in, then try again.", "sign in"),
    110: Explanation(
        "Not found",
        "This page does not exist, or it belongs to someone else.",
        "Check the address, and check that you are signed in with the right account.",
    ),
    111: Explanation(
        "Page not found",
        "The address has a mistake in it, or the page was deleted.",
        "If you followed a link, that link is wrong.",
    ),
    117: Explanation("Too many requests", "You can do this only a limited number of times in a while.", "Wait a little.", "again"),
    121: Explanation(
        "This page is out of date",
        "You may have signed in again since you opened it, or another site tried to act in your name. Nothing was changed.",
        "Open the page again and repeat what you did.",
    ),
    130: Explanation("Your sign-in has expired", "A sign-in lasts only a few hours. Nothing was changed.", "Sign in again.", "sign in"),
    201: Explanation(
        "This service cannot answer right now",
        "A part of the service is unavailable. The service is at fault, not you.",
        "This is usually over in a moment. Try again.",
        "again",
    ),
    999: Explanation(
        "Something went wrong",
        "The service is at fault, not you.",
        "Try again. If it happens again, give the operator the details below, so that they can find the cause in the log.",
        "again",
    ),
}

GRANT: dict[int, Explanation] = {
    104: Explanation(
        "You were signed out while the page was open",
        f"The service cannot tell who answered. {_NOTHING}",
        "Sign in. The application then asks you again.",
        "sign in",
    ),
    107: Explanation(
        "This link is broken",
        f"The link has to lead back to the application's own address, and it does not. This service sends you nowhere else. {_LINK}",
        "Go back to that site. If it happens again, send its developers the details below.",
    ),
    108: Explanation("Your answer was incomplete", f"The answer has to be either Allow or Deny. {_NOTHING}", "Answer again.", "again"),
    110: Explanation(
        "This application does not exist",
        f"It may have been deleted, or the link is incomplete. {_NOTHING}",
        "Go back to that site and start again from there.",
    ),
    117: Explanation(
        "That was too quick",
        "Either the answer came less than a second after the page was shown, perhaps because another site made you click, or your status "
        f"and permissions changed too often in a short time. {_NOTHING}",
        "Wait a little, open the request again, and answer when you have read it.",
        "again",
    ),
    121: Explanation(
        "This request is out of date",
        f"You signed in again since you opened it, or the answer came from another site. {_NOTHING}",
        "Open the request again and answer there.",
        "again",
    ),
    130: Explanation(
        "Your sign-in expired while the page was open",
        f"A sign-in lasts only a few hours. {_NOTHING}",
        "Sign in. The application then asks you again.",
        "sign in",
    ),
    140: Explanation(
        "This application cannot ask you yet",
        f"Its developer has not proven that its web address belongs to them, or the proof is missing there. {_NOTHING}",
        "Go back to that site. Its developer can finish the proof on “My applications”.",
    ),
    142: Explanation(
        "This application is not active",
        f"Its developer has not activated it, or it was deactivated. You did nothing wrong. {_NOTHING}",
        "Open this link again when the application is active.",
        "again",
    ),
    201: Explanation(
        "This service cannot answer right now",
        "A part of the service is unavailable. The service is at fault, neither you nor the application.",
        "Try again in a moment. It is safe to answer twice.",
        "again",
    ),
}

SIGN_IN: dict[int, Explanation] = {
    110: Explanation(
        "Unknown sign-in provider",
        "This service does not know the provider in this address.",
        "Choose one of the providers on the sign-in page.",
        "sign in",
    ),
    121: Explanation(
        "This sign-in did not start here",
        "It took longer than ten minutes, it started in another browser, or your browser blocks cookies from this site. "
        "You are not signed in.",
        "Allow cookies for this site if they are blocked, and start again.",
        "sign in",
    ),
    122: Explanation(
        "This account belongs to another sign-in",
        "Someone signed in to the account of this e-mail address before, with another provider or another account there, or the operator "
        "has released it for someone else. You cannot sign in to it, so that nobody takes it over.",
        "Sign in with the provider and the account that you used before. If your address has changed, or if you did so, ask the operator.",
        "sign in",
    ),
    201: Explanation(
        "The sign-in could not be completed",
        "Your provider does not answer this service or refuses it, or a part of this service is unavailable. You did nothing wrong.",
        "Try again in a moment. If it happens again, tell the operator: the log contains the cause.",
        "sign in",
    ),
}

HOME: dict[int, Explanation] = {
    121: Explanation(
        "This link has expired",
        "The development service makes a new token each time it starts, and this link has an older one. You are not signed in.",
        "Open the link that the service printed when it last started.",
    ),
}

ADMIN: dict[int, Explanation] = {
    121: Explanation(
        "This page is for the operator",
        "It shows the status of the service to the e-mail addresses in its settings. Yours is not one of them.",
        "You are not missing anything: everything of yours is on the other pages.",
    ),
}

_BY_ROUTE = {"admin": ADMIN, "grant": GRANT, "home": HOME, "signin": SIGN_IN, "signin_back": SIGN_IN}


NOT_ADMITTED: dict[str, Explanation] = {
    "blocked": Explanation(
        "Your account is blocked",
        "You signed in correctly, but the operator has blocked your account.",
        "Signing in again does not help. Ask the operator.",
    ),
    "unverified": Explanation(
        "Your e-mail address is not verified",
        "You signed in, but your provider has not verified your e-mail address. This service accepts only verified addresses.",
        "Verify the address with your provider, then sign in again.",
        "sign in",
    ),
    "email": Explanation(
        "Your provider did not send your e-mail address",
        "This service needs your e-mail address. Your provider has none, does not share it, or it contains non-ASCII letters.",
        "Add or share an address with your provider, then sign in again.",
        "sign in",
    ),
    "ended": Explanation(
        "The sign-in was cancelled",
        "Your provider ended it, for example because you declined. You are not signed in.",
        "Sign in again. If you did not decline, ask the operator: the log contains the provider's reason.",
        "sign in",
    ),
    "domain": Explanation(
        "This provider does not match your e-mail address",
        "You signed in, but this service accepts that provider only for e-mail addresses of other domains.",
        "Sign in with the provider of your e-mail address, or ask the operator.",
        "sign in",
    ),
}
"""Texts for a person who may not sign in, or whose provider ended the sign-in, by the details of errno 34."""


def explain(errno: int, route: str = "", details: Details | None = None) -> Explanation:
    """Return the texts for a refusal.

    :param route: the name of the route it happened on.
    :param details: details of the refusal.
    """
    if errno == 34 and isinstance(details, str) and details in NOT_ADMITTED:
        return NOT_ADMITTED[details]
    return _BY_ROUTE.get(route, {}).get(errno) or ANYWHERE.get(errno) or OTHERS
