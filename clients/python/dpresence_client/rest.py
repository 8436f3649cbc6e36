"""The REST calls of the service (docs/protocol.md, section 6), with the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from copy import copy
from typing import Any, Dict, Iterator, Mapping
from urllib.parse import quote, urlsplit

from .errors import NotConnected, ProtocolError, refusal
from .websocket import LOOPBACK, channel_url

ANSWER_SECONDS = 15.0
_MAX_BYTES = 16 * 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error, because another address must not get the credentials."""

    def redirect_request(self, *args: Any) -> None:
        """Return nothing, so that the redirect is an error."""


class Rest:
    """Calls of one service.

    :param url: URL of the service, as for ``AppService``.
    :param credentials: headers that authenticate the calls; None for calls that need none.
    :param context: TLS settings; None for the default ones.
    """

    def __init__(self, url: str, credentials: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None) -> None:
        self.url = f"http{channel_url(url, '').removeprefix('ws')}"
        self._credentials = dict(credentials or {})
        proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []  # no proxy reaches this machine
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context), *proxies)

    def __repr__(self) -> str:
        return f"Rest({self.url!r})"

    def signed_in(self, assertion: str) -> Rest:
        """Return the calls of a user.

        :param assertion: proves who they are; see section 2.
        """
        rest = copy(self)
        rest._credentials = {"Authorization": f"{'BrowserID' if '~' in assertion else 'Bearer'} {assertion}"}
        return rest

    def pages(self, path: str, limit: int = 500) -> Iterator[Any]:
        """Return the pages of a list, by one call each; the errors are those of ``call``.

        :param limit: entries of a page, 1 to 500.
        """
        page = self.call("GET", f"{path}?limit={limit}")
        yield page
        while "next" in page:
            page = self.call("GET", f"{path}?limit={limit}&after={quote(page['next'], safe='')}")
            yield page

    def call(self, method: str, path: str, body: Any = None, accept: str = "application/json") -> Any:
        """Make a call; return the body of its answer, None without one.

        :param path: quoted.
        :param accept: for another type than JSON, the answer is returned as text.
        :raises Refused: the service refused it.
        :raises NotConnected: the service does not answer.
        :raises ProtocolError: the answer is not that of the service, as with a network that wants a sign-in first.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers(data, accept), method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                content: bytes = answer.read(_MAX_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(_refused(error), error.code) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotConnected(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from None
        try:
            if accept != "application/json":
                return content.decode()
            return json.loads(content) if content else None
        except (ValueError, RecursionError):
            raise ProtocolError(f"{self.url}: the answer is not that of the service") from None

    def _headers(self, data: bytes | None, accept: str) -> Dict[str, str]:
        headers = {"Accept": accept, **self._credentials}
        if data is not None:
            headers["Content-Type"] = "application/json"
        return headers


def _refused(error: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        answer = json.loads(error.read(_MAX_BYTES))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) and "errno" in answer else {"error": f"HTTP {error.code}, not from dpresence"}
