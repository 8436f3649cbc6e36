"""Slow steps of a start whose results the tests share: Pyramid's configuration and the tables of SQLite.

Tests of the steps themselves, and every process that a test starts, run the real ones.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pyramid.registry import Registry
from pyramid.router import Router

from dpresence import app
from dpresence.registry import KEY
from dpresence.tests.shared_tables import shared_tables

_configure = app.configure
_configured: dict[bool, Router] = {}


@contextmanager
def shared_start() -> Iterator[None]:
    """Share the steps among the applications that are made in this context.

    The certificates of the system, which take as long to load, are left out: these applications connect to the loopback only.
    """
    no_certificates = patch.object(ssl.SSLContext, "load_default_certs", lambda *_: None)
    with shared_tables(), no_certificates, patch.object(app, "configure", _configure_once):
        yield


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
