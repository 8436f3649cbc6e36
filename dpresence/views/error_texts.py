"""Texts of the error pages: what happened, whose fault it is, what to do. The page also shows the service's error text, in English."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..errors import Details
from .catalogues import N_

Way = Literal["", "again", "sign in"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The texts for one errno.

    :param title: what happened, in a few words.
    :param what: the same in a sentence or two, with whose fault it is.
    :param do: what the person can do about it.
    :param way: where the first button leads, besides the one to the home page.
    :param outcome: a sentence to add to ``what``.
    """

    title: str
    what: str
    do: str
    way: Way = ""
    outcome: str = ""


_NOTHING = N_("The application got no access.")

OTHERS = Explanation(
    N_("That did not work"),
    N_("The service refused the request for the reason below."),
    N_("Go back and try again."),
)

ANYWHERE: dict[int, Explanation] = {
    34: Explanation(
        N_("Your sign-in was not accepted"),
        N_("The proof of your identity is invalid or too old."),
        N_("Sign in again."),
        "sign in",
    ),
    104: Explanation(
        N_("You are not signed in"),
        N_("You have to sign in to see this page."),
        N_("Sign in, then try again."),
        "sign in",
    ),
    110: Explanation(
        N_("Not found"),
        N_("This page does not exist, or it belongs to someone else."),
        N_("Check the address, and check that you are signed in with the right account."),
    ),
    111: Explanation(
        N_("Page not found"),
        N_("The address has a mistake in it, or the page was deleted."),
        N_("If you followed a link, that link is wrong."),
    ),
    117: Explanation(
        N_("Too many requests"),
        N_("You can do this only so often."),
        N_("Wait a little."),
        "again",
    ),
    121: Explanation(
        N_("This page is out of date"),
        N_("You may have signed in again since you opened it, or another site tried to act in your name. Nothing was changed."),
        N_("Open the page again and repeat what you did."),
    ),
    130: Explanation(
        N_("Your sign-in has expired"),
        N_("A sign-in lasts only a few hours. Nothing was changed."),
        N_("Sign in again."),
        "sign in",
    ),
    201: Explanation(
        N_("This service cannot answer right now"),
        N_("A part of the service is unavailable. The service is at fault, not you."),
        N_("This is usually over in a moment. Try again."),
        "again",
    ),
    999: Explanation(
        N_("Something went wrong"),
        N_("The service is at fault, not you."),
        N_("Try again. If it happens again, give the operator the details below, so that they can find the cause in the log."),
        "again",
    ),
}

GRANT: dict[int, Explanation] = {
    104: Explanation(
        N_("You were signed out while the page was open"),
        N_("The service cannot tell who answered."),
        N_("Sign in. The application then asks you again."),
        "sign in",
        outcome=_NOTHING,
    ),
    107: Explanation(
        N_("This link is broken"),
        N_(
            "The link has to lead back to the application's own address, and it does not. This service sends you nowhere "
            "else. The site that sent you here made a mistake in its link; you did nothing wrong."
        ),
        N_("Go back to that site. If it happens again, send its developers the details below."),
        outcome=_NOTHING,
    ),
    108: Explanation(
        N_("Your answer was incomplete"),
        N_("The answer has to be either Allow or Deny."),
        N_("Answer again."),
        "again",
        outcome=_NOTHING,
    ),
    110: Explanation(
        N_("This application does not exist"),
        N_("It may have been deleted, or the link is incomplete."),
        N_("Go back to that site and start again from there."),
        outcome=_NOTHING,
    ),
    117: Explanation(
        N_("That was too quick"),
        N_(
            "Either the answer came less than a second after the page was shown, perhaps because another site made you "
            "click, or your status and permissions changed too often in a short time."
        ),
        N_("Wait a little, open the request again, and answer when you have read it."),
        "again",
        outcome=_NOTHING,
    ),
    121: Explanation(
        N_("This request is out of date"),
        N_("You signed in again since you opened it, or the answer came from another site."),
        N_("Open the request again and answer there."),
        "again",
        outcome=_NOTHING,
    ),
    130: Explanation(
        N_("Your sign-in expired while the page was open"),
        N_("A sign-in lasts only a few hours."),
        N_("Sign in. The application then asks you again."),
        "sign in",
        outcome=_NOTHING,
    ),
    140: Explanation(
        N_("This application cannot ask you yet"),
        N_("Its developer has not proven that its web address belongs to them, or the proof is missing there."),
        N_("Go back to that site. Its developer can finish the proof on “My applications”."),
        outcome=_NOTHING,
    ),
    142: Explanation(
        N_("This application is not active"),
        N_("Its developer has not activated it, or it was deactivated. You did nothing wrong."),
        N_("Open this link again when the application is active."),
        "again",
        outcome=_NOTHING,
    ),
    201: Explanation(
        N_("This service cannot answer right now"),
        N_("A part of the service is unavailable. The service is at fault, neither you nor the application."),
        N_("Try again in a moment. It is safe to answer twice."),
        "again",
    ),
}

SIGN_IN: dict[int, Explanation] = {
    117: replace(ANYWHERE[117], way="sign in"),  # the provider's answer cannot be used again
    999: replace(ANYWHERE[999], way="sign in"),
    110: Explanation(
        N_("Unknown sign-in provider"),
        N_("This service does not know the provider in this address."),
        N_("Choose one of the providers on the sign-in page."),
        "sign in",
    ),
    121: Explanation(
        N_("This sign-in did not start here"),
        N_(
            "It took longer than ten minutes, it started in another browser, or your browser blocks cookies from this site. "
            "You are not signed in."
        ),
        N_("Allow cookies for this site if they are blocked, and start again."),
        "sign in",
    ),
    122: Explanation(
        N_("This account belongs to another sign-in"),
        N_(
            "Someone signed in to the account of this e-mail address before, with another provider or another account there, "
            "or the operator has released it for someone else. You cannot sign in to it, so that nobody takes it over."
        ),
        N_(
            "Sign in with the provider and the account that you used before. If you did so, or if your address has changed, "
            "ask the operator."
        ),
        "sign in",
    ),
    201: Explanation(
        N_("The sign-in could not be completed"),
        N_("Your provider does not answer this service or refuses it, or a part of this service is unavailable. You did nothing wrong."),
        N_("Try again in a moment. If it happens again, tell the operator: the log contains the cause."),
        "sign in",
    ),
}

HOME: dict[int, Explanation] = {
    121: Explanation(
        N_("This link has expired"),
        N_("The development service makes a new token each time it starts, and this link has an older one. You are not signed in."),
        N_("Open the link that the service printed when it last started."),
    ),
}

ADMIN: dict[int, Explanation] = {
    121: Explanation(
        N_("This page is for the operator"),
        N_("It shows the status of the service to the e-mail addresses in its settings. Yours is not one of them."),
        N_("You are not missing anything: everything of yours is on the other pages."),
    ),
}

_BY_ROUTE = {"admin": ADMIN, "grant": GRANT, "home": HOME, "signin": SIGN_IN, "signin_back": SIGN_IN}


NOT_ADMITTED: dict[str, Explanation] = {
    "blocked": Explanation(
        N_("Your account is blocked"),
        N_("You signed in correctly, but the operator has blocked your account."),
        N_("Signing in again does not help. Ask the operator."),
    ),
    "unverified": Explanation(
        N_("Your e-mail address is not verified"),
        N_("You signed in, but your provider has not verified your e-mail address. This service accepts only verified addresses."),
        N_("Verify the address with your provider, then sign in again."),
        "sign in",
    ),
    "email": Explanation(
        N_("Your provider did not send your e-mail address"),
        N_("This service needs your e-mail address. Your provider has none, does not share it, or it contains non-ASCII letters."),
        N_("Add or share an address with your provider, then sign in again."),
        "sign in",
    ),
    "ended": Explanation(
        N_("The sign-in was cancelled"),
        N_("Your provider ended it, for example because you declined. You are not signed in."),
        N_("Sign in again. If you did not decline, ask the operator: the log contains the provider's reason."),
        "sign in",
    ),
    "domain": Explanation(
        N_("This provider does not match your e-mail address"),
        N_("You signed in, but this service accepts that provider only for e-mail addresses of other domains."),
        N_("Sign in with the provider of your e-mail address, or ask the operator."),
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
