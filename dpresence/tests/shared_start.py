"""Slow steps of a start whose results the tests share: Pyramid's configuration, the tables of SQLite, keys and certificates.

Tests of the steps themselves, and every process that is started from the command line, run the real ones.
"""

from __future__ import annotations

import functools
import itertools
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from pyramid.registry import Registry
from pyramid.router import Router

from dpresence import app
from dpresence.backends.sql import sqlite
from dpresence.identity import development
from dpresence.registry import KEY
from dpresence.tests.shared_tables import shared_tables

CACHED_FILES = "TESTS_CACHED_FILES"
"""Environment variable with which a service that is forked lets browsers use their copies of static files without a request."""
_configure = app.configure
_configured: dict[bool, Router] = {}
_load_certificates = ssl.SSLContext.load_default_certs
_AUTHORITIES_OF_THE_RUN = os.environ.get("SSL_CERT_FILE")


@contextmanager
def shared_start() -> Iterator[None]:
    """Share the steps among the applications that are made in this context."""
    with shared_tables(), patch.object(app, "configure", _configure_once):
        yield


@contextmanager
def without_certificates() -> Iterator[None]:
    """Leave out the authorities of the system or of the run in this context: a context of TLS connects to the loopback only."""

    def load(context: ssl.SSLContext, *purpose: Any) -> None:
        if os.environ.get("SSL_CERT_FILE") != _AUTHORITIES_OF_THE_RUN:  # set by a test of an authority of its own
            _load_certificates(context, *purpose)

    with patch.object(ssl.SSLContext, "load_default_certs", load):
        yield


@contextmanager
def without_fsync() -> Iterator[None]:
    """Have SQLite call no fsync in this context. Its writes still survive a crash of the process; no test cuts the power."""

    def unsynchronized(pragmas: Sequence[str]) -> tuple[str, ...]:
        return (*(each for each in pragmas if not each.startswith("synchronous")), "synchronous = OFF")

    with (
        patch.object(sqlite, "_DURABLE", unsynchronized(sqlite._DURABLE)),
        patch.object(sqlite, "_NONDURABLE", unsynchronized(sqlite._NONDURABLE)),
    ):
        yield


@contextmanager
def shared_keys() -> Iterator[None]:
    """Have every development issuer in this context use the same two keys."""
    keys = itertools.cycle(_keys())
    with patch.object(development, "generate_private_key", lambda exponent, bits: next(keys)):
        yield


@functools.cache
def _keys() -> list[RSAPrivateKey]:
    """Return the issuer's key and that of its users."""
    return [generate_private_key(65537, 2048) for _ in range(2)]


def _configure_once(ini: Mapping[str, str], parts: Any) -> Router:
    """Return an application with a registry of its own and with the routes and views of the first one.

    These depend only on whether the development issuer is on.
    """
    development = parts.development_issuer is not None
    if development not in _configured:
        _configured[development] = _configure(ini, parts)
    first = _configured[development].registry
    registry = Registry.__new__(Registry)
    vars(registry).update(vars(first))
    registry.update({**first, KEY: parts})
    return Router(registry)
