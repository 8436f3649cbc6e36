"""What a page says of a refusal: what happened, whose fault it is, what to do. The words of the service follow below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["", "again", "sign in"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The words for one errno.

    :param title: what happened, in a few words.
    :param what: the same in a sentence or two, with whose fault it is.
    :param do: what somebody can do about it.
    :param way: where the first button leads, besides the one to the start page.
    """

    title: str
    what: str
    do: str
    way: Way = ""


_NOTHING = "Nothing was granted."
_LINK = f"The mistake is in the link of the site that sent you here, not yours. {_NOTHING}"

OTHERS = Explanation("That could not be done", "The service refused it, for the reason below.", "Go back and try it in another way.")

ANYWHERE: dict[int, Explanation] = {
    34: Explanation("That sign-in was not accepted", "The proof of who you are is not valid, or is too old.", "Sign in again.", "sign in"),
    104: Explanation("You are not signed in", "This is for people who are.", "Sign in, then do it again.", "sign in"),
    110: Explanation(
        "There is nothing here for you",
        "What this address names does not exist, or it belongs to somebody else; which of the two is not told.",
        "Check the address, and whether you are signed in as who you want to be.",
    ),
    111: Explanation(
        "There is no such page",
        "The address has a mistake in it, or is of a page that is gone.",
        "If a link brought you here, that link is wrong.",
    ),
    117: Explanation("That was too much at once", "There is a limit to how often this can be done.", "Wait a little.", "again"),
    121: Explanation(
        "That did not come from a page you have open now",
        "You may have signed in anew since the page was opened, or another site tried to act in your name. Nothing was changed.",
        "Open the page again and repeat what you did.",
    ),
    130: Explanation("Your sign-in has ended", "A sign-in lasts for some hours only. Nothing was changed.", "Sign in again.", "sign in"),
    201: Explanation(
        "This service cannot answer right now",
        "A part of it is away. The fault is the service's, not yours.",
        "It usually lasts for moments. Try again.",
        "again",
    ),
    999: Explanation(
        "Something went wrong here",
        "The fault is the service's, not yours.",
        "Try again. If it happens again, tell who runs this service the number below: it is in the log.",
        "again",
    ),
}

GRANT: dict[int, Explanation] = {
    104: Explanation(
        "You were signed out while the page was open",
        f"So it is not certain who answered. {_NOTHING}",
        "Sign in: you are asked again, and can answer then.",
        "sign in",
    ),
    107: Explanation(
        "This link is broken",
        "It has to say how you get back to the application, and what it says does not lead to the application's own address. "
        f"This service sends you nowhere else. {_LINK}",
        "Go back to that site. If it happens again, tell its makers the words below.",
    ),
    108: Explanation("That answer was not complete", f"It has to be either allow or deny. {_NOTHING}", "Answer again.", "again"),
    110: Explanation(
        "There is no such application",
        f"It may have been deleted, or the link is not complete. {_LINK}",
        "Go back to that site and start from there again.",
    ),
    117: Explanation(
        "That was too quick",
        "The answer came within a second of the question. Nobody reads it in that time, and another site may have made you click. "
        f"{_NOTHING}",
        "Open the question again, and answer when you have read it.",
        "again",
    ),
    121: Explanation(
        "This question is no longer good",
        f"You signed in anew since it was opened, or the answer came from another site. {_NOTHING}",
        "Open the question again and answer there.",
        "again",
    ),
    130: Explanation(
        "Your sign-in ended while the page was open",
        f"A sign-in lasts for some hours only. {_NOTHING}",
        "Sign in: you are asked again, and can answer then.",
        "sign in",
    ),
    140: Explanation(
        "This application cannot ask you yet",
        "It has not shown that the web address it gives is its own, and you should not have to take its word for it. "
        f"That is for its developer to do. {_NOTHING}",
        "Go back to that site. Its developer can finish the proof under “My applications”.",
    ),
    142: Explanation(
        "This application is switched off",
        f"Its developer has deactivated it, or the service could not find its proof any more. You did nothing wrong. {_NOTHING}",
        "Come back to this link when the application is on again.",
        "again",
    ),
    201: Explanation(
        "This service cannot answer right now",
        "A part of it is away. The fault is the service's, neither yours nor the application's.",
        "Try again in a moment; answering twice does no harm.",
        "again",
    ),
}

SIGN_IN: dict[int, Explanation] = {
    110: Explanation(
        "There is no such way to sign in",
        "The address names a provider this service does not know.",
        "Choose one of those it knows.",
        "sign in",
    ),
    121: Explanation(
        "That sign-in was not begun here",
        "It took longer than ten minutes, it was begun in another browser, or this browser keeps no cookies of this site. "
        "You are not signed in.",
        "Allow cookies for this site if they are off, and start again.",
        "sign in",
    ),
    122: Explanation(
        "This address is signed in to in another way",
        "Somebody signed in to this account before, vouched for by another provider. It stays with that one, so that nobody takes it over.",
        "Sign in as you did then, or ask who runs this service.",
        "sign in",
    ),
}

HOME: dict[int, Explanation] = {
    121: Explanation(
        "This link is not of the present start",
        "Each start of the development service makes a new token, and the one in this address is another. You are not signed in.",
        "Open the link that the start printed last.",
    ),
}

ADMIN: dict[int, Explanation] = {
    121: Explanation(
        "This page is for who runs the service",
        "It shows how the service does, and is open to the e-mails that its settings name. Yours is not one of them.",
        "Nothing is missing for you: everything of yours is on the other pages.",
    ),
}

_BY_ROUTE = {"admin": ADMIN, "grant": GRANT, "home": HOME, "signin": SIGN_IN, "signin_back": SIGN_IN}


NOT_ADMITTED: dict[object, Explanation] = {
    "blocked": Explanation(
        "Your account is blocked",
        "You are who you say, but the operator of this service has blocked your account.",
        "Signing in again does not change that. Ask who runs this service.",
    ),
    "unverified": Explanation(
        "Your e-mail address is not verified",
        "You signed in, but your provider has not verified your e-mail address, and this service takes no other.",
        "Verify the address at your provider, then sign in again.",
        "sign in",
    ),
    "email": Explanation(
        "Your provider tells no e-mail address of you",
        "This service knows people by their e-mail address. Yours is missing at the provider, is not shared, or has letters beyond ASCII.",
        "Add or share an address at your provider, then sign in again.",
        "sign in",
    ),
    "domain": Explanation(
        "That provider is not for your e-mail address",
        "You signed in, but this service lets that provider vouch for addresses of other mail domains only.",
        "Sign in at the provider of your e-mail address, or ask who runs this service.",
        "sign in",
    ),
}
"""What is said of a good proof whose person may not sign in, by the details of errno 34."""


def explain(errno: int, route: str = "", details: object = None) -> Explanation:
    """Return the words for a refusal.

    :param route: the name of the route it happened on.
    :param details: those of the refusal.
    """
    if errno == 34 and details in NOT_ADMITTED:
        return NOT_ADMITTED[details]
    return _BY_ROUTE.get(route, {}).get(errno) or ANYWHERE.get(errno) or OTHERS
