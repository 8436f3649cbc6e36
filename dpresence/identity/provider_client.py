"""Requests to the endpoints of an OpenID Connect provider."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from ..networks import is_public
from ..outbound import Fetcher, FetchFailed, Response, Target
from ..settings import LOOPBACK_HOSTS

DEADLINE_SECONDS = 5.0
BODY_BYTES = 262_144
IN_FLIGHT = 20
JSON = "application/json"

T = TypeVar("T")


class ProviderClient:
    """An HTTP client for the endpoints of one provider; time, size and concurrency are limited.

    Certificates are verified against the system's trust store.

    :param allow_private: whether private addresses, and http on loopback, are allowed.
    """

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._in_flight = 0
        self._fetcher = Fetcher(
            lambda address: allow_private or is_public(address),
            "is not public; allow_private of this provider allows it",
            seconds=DEADLINE_SECONDS,
            body_bytes=BODY_BYTES,
        )

    def deadline(self) -> AbstractContextManager[None]:
        """Limit the total time of requests in this context; see ``Fetcher.deadline``."""
        return self._fetcher.deadline()

    def get(self, url: str, kind: type[T], token: str = "") -> T:
        """Return the JSON document at a URL; must be called within ``deadline``.

        :param token: access token to send; empty for none.
        :raises FetchFailed: the request failed, or the response is not a 200 with a document of that type.
        """
        with self._slot(url) as target:
            headers = {"Accept": JSON} | ({"Authorization": f"Bearer {token}"} if token else {})
            return decode(self._fetcher.request("GET", target, headers=headers), kind)

    def post(self, url: str, form: dict[str, str], headers: dict[str, str], statuses: Container[int]) -> Response:
        """Send a form; must be called within ``deadline``.

        :param statuses: statuses to accept.
        :raises FetchFailed: the request failed, or the response has another status.
        """
        with self._slot(url) as target:
            headers = {"Accept": JSON, "Content-Type": "application/x-www-form-urlencoded", **headers}
            return self._fetcher.request("POST", target, headers=headers, body=urlencode(form).encode(), statuses=statuses)

    def check(self, url: str) -> Target:
        """Return the target of an endpoint's URL.

        :raises FetchFailed: the URL is invalid or not https.
        """
        try:
            target = Target.parse(url)
        except ValueError:
            raise FetchFailed("status", "an endpoint is not an https URL in ASCII without a user name") from None
        if target.scheme != "https" and not (self._allow_private and target.host in LOOPBACK_HOSTS):
            raise FetchFailed("status", "an endpoint is not https", str(target))
        return target

    @contextmanager
    def _slot(self, url: str) -> Iterator[Target]:
        target = self.check(url)
        if self._in_flight >= IN_FLIGHT:
            raise FetchFailed("status", f"{IN_FLIGHT} requests to this provider are in flight already", str(target))
        self._in_flight += 1
        try:
            yield target
        finally:
            self._in_flight -= 1


def decode(response: Response, kind: type[T]) -> T:
    """Decode a JSON document into a struct.

    :raises FetchFailed: the document is not JSON of that type.
    """
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("status", "the response is not the JSON that it should be", response.where) from None
