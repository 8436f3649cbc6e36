"""Failures of requests to addresses that others name, in words that tell nothing of the operator's network."""

from __future__ import annotations

import ssl
from http.client import RemoteDisconnected
from typing import Literal

Failure = Literal["dns", "refused", "tls", "timeout", "status", "size"]

LOGGED_CHARACTERS = 100
"""Maximum length of response data in the log."""
NOT_CONNECTED = "no connection"
"""The cause of an error of the operating system, whose own text only the log has."""


class FetchFailed(Exception):
    """A request without a usable response; the text is one line for the log.

    :ivar failure: class of the failure.
    :ivar cause: the reason, such as ``connection refused``.
    :ivar where: the URL without query, and the addresses that were tried; empty if not known.
    """

    def __init__(self, failure: Failure, cause: str, where: str = "") -> None:
        super().__init__(failure, cause)
        self.failure = failure
        self.cause = cause
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.cause}" if self.where else self.cause


def describe(error: Exception) -> str:
    """Return the cause of an error for the log, where that of the operating system may tell what the operator's network is like."""
    cause = explain(error)[1]
    return (error.strerror or ascii(error)).lower() if cause == NOT_CONNECTED and isinstance(error, OSError) else cause


def explain(error: Exception) -> tuple[Failure, str]:
    """Return the class of an error, and its cause in plain words, in ASCII."""
    if isinstance(error, TimeoutError):
        return "timeout", "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls", f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "tls", f"TLS handshake failed: {error.reason}"
    if isinstance(error, RemoteDisconnected):
        return "status", "the connection was closed without a response"
    if isinstance(error, ConnectionRefusedError):
        return "refused", "connection refused"
    if isinstance(error, ConnectionError):
        return "status", "the connection was closed"
    if isinstance(error, OSError):
        return "status", NOT_CONNECTED
    return "status", f"not an HTTP response: {ascii(error)[:LOGGED_CHARACTERS]}"
