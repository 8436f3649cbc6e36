"""Descriptions of operations, parameters and headers of REST."""

from __future__ import annotations

from ..messages import MAX_ENTRIES, MAX_WAIT_SECONDS
from .schemas import Schema

TEXT: Schema = {"type": "string"}
PARAMETERS: dict[str, tuple[str, Schema]] = {
    "appid": ("The application.", TEXT),
    "version": ("The version of the icon.", TEXT),
    "notification": ("The id of the notification.", TEXT),
    "device": ("The name of the device.", TEXT),
    "subscription": ("The id of the subscription.", TEXT),
    "provider": ("The name of the provider.", TEXT),
    "file": ("The name of the file.", TEXT),
    "after": ("The `next` of the page before.", TEXT),
    "limit": ("Number of entries of a page.", {"type": "integer", "minimum": 1, "maximum": MAX_ENTRIES, "default": MAX_ENTRIES}),
    "next": ("Path of this service to go to after the sign-in.", TEXT),
    "token": ("The token of a development service.", TEXT),
    "code": ("The code that the device shows.", TEXT),
    "puid": ("A PUID; it may be repeated.", {"type": "array", "items": TEXT, "maxItems": MAX_ENTRIES}),
    "puid:one": ("The PUID of the notification.", TEXT),
    "since": ("A cursor; the header `Last-Event-ID` takes precedence. Without one the answer begins with a snapshot.", TEXT),
    "outcomes": ("A cursor of outcomes; empty for all that are stored. Without it none are sent.", TEXT),
    "wait": (
        "Long poll: seconds to wait for the next updates or outcomes. Without it the answer is an event stream.",
        {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS},
    ),
    "page": (
        "Maximum number of entries of a snapshot; the next call continues with its `resume`. Without it the answer has all of them.",
        {"type": "integer", "minimum": 1, "maximum": MAX_ENTRIES},
    ),
    "redirect": ("An https URL on the application's domain, to which the page leads back.", TEXT),
    "origin": ("The origin of the page that asks, if it is not that of the header `Origin`.", TEXT),
}
"""Description and schema of each parameter, of a path or of a query. What follows a colon distinguishes parameters of one name."""
FORMS = {"postGrant": ("redirect", "csrf"), "postAnswer": ("code", "csrf")}
"""The fields of the forms of pages, besides one of ``allow`` and ``deny``, by operation."""
OPTIONAL_FIELDS = {"postGrant": ("until",)}
"""The fields of these forms that may be missing."""
HEADERS: dict[str, tuple[str, Schema]] = {
    "Retry-After": ("Seconds until a retry may succeed; the same as `retry_after`.", {"type": "integer"}),
    "WWW-Authenticate": ("The schemes of `Authorization`.", TEXT),
    "Allow": ("The methods that this path has.", TEXT),
    "Location": ("Where the browser goes on.", TEXT),
    "Set-Cookie": ("A cookie.", TEXT),
    "ETag": ("The version of the document; `If-None-Match` with it gets 304.", TEXT),
}
"""Description and schema of each header of an answer."""
NOTES = {
    "getHome": "On a development service, the link with `token` stores the token in a cookie (section 8).",
    "postLanguage": "The tag of a language, such as `de`; empty for the one that the browser asks for. The browser keeps it in a cookie "
    "and is sent back to the page.",
    "getPairing": "Browsers get the page that asks for the code, and then whether to connect the device.",
    "redeemPairing": "The device polls until the user has answered. `details` of errno 143 is an error code of RFC 8628: "
    "`authorization_pending`, `slow_down`, `access_denied` or `expired_token`.",
    "postAnswer": "The form of the page is answered with 303 to the page.",
    "postBackchannelLogout": "OpenID Connect Back-Channel Logout 1.0: the provider sends a logout token. `details` of errno 144 is the "
    "reason in one word.",
    "postLogin": "The answer sets the session cookie. The session that the browser had before ends. An assertion is accepted once.",
    "getApplication": "A websocket handshake at this path opens the channel of an app service: see the AsyncAPI document.",
    "putIcon": "A picture that is not square is centred on a transparent square. It is stored as WebP, 128 pixels wide, without metadata.",
    "changeApplication": "A new domain starts over: the application is neither validated nor active, and every grant is revoked.",
    "activateApplication": "Only this answer has the new API key.",
    "newKey": "The previous key works for `presence.key_overlap_seconds` more. Only this answer has the new key.",
    "putWebhook": "Only the answer 201, to the first one, has the secret. The first message is a snapshot.",
    "newSecret": "The previous secret signs as well for a day. Only this answer has the new one.",
    "sendTest": "The answer comes when the endpoint has answered, after 15 s at most.",
    "getPresence": "With `puid`, the answer has these users in the order asked and is not paged.",
    "getFeed": "The frames and rules are those of the channel of an app service (section 5). An event has a frame as its data, and its "
    "cursor as its id. By long poll, the answer is the next `Updates`, or one `Snapshot` with all entries.",
    "getGrant": "Browsers get the page that asks the user.",
    "postGrant": "If the application has access already, the answer has the same PUID. The form of the page is answered with 303 to its "
    "`redirect`, with `Presence-UID` or `Presence-Error` in the query.",
    "putPush": "The endpoint must be one of a push service that the operator allows (`push.services`). A browser that is stored already "
    "keeps its place; one of another user changes hands.",
    "openDeviceChannel": "The AsyncAPI document has its frames. Without an upgrade, the answer is the refusal that a handshake would get, "
    "or errno 108 where it would be accepted. Other websocket versions than 13 get 426.",
    "sendHeartbeat": "Programs and pages of this service. A status that changes too quickly (117) is applied later.",
    "getHeartbeat": "503 if a backend does not answer.",
    "getMetrics": "OpenMetrics, or Prometheus' text format, by `Accept`.",
    "mint": "Only on a development service; elsewhere this path does not exist.",
}
"""Descriptions of operations that need one, by their id."""
