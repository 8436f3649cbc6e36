"""The contract in forms that machines read: an OpenAPI document of REST, an AsyncAPI document of the two channels.

Both are generated from the structs of ``messages``, the tables of ``errors`` and the settings. docs/protocol.md is the contract in prose.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from ..settings import Settings
from . import asyncapi, openapi


@dataclass(frozen=True)
class Document:
    """A document as it is served.

    :ivar content: the document.
    :ivar body: its JSON, which is the same for the same version and settings.
    :ivar etag: a hash of it.
    """

    content: dict[str, Any]

    @cached_property
    def body(self) -> bytes:
        """Return the JSON."""
        return msgspec.json.encode(self.content)

    @cached_property
    def etag(self) -> str:
        """Return a hash of the body."""
        return hashlib.sha256(self.body).hexdigest()[:32]


class Contract:
    """The documents of one service, each generated when it is first requested."""

    def __init__(self, settings: Settings, version: str) -> None:
        self._settings = settings
        self._version = version

    @cached_property
    def openapi(self) -> Document:
        """Return the OpenAPI document."""
        return Document(openapi.document(self._settings, self._version))

    @cached_property
    def asyncapi(self) -> Document:
        """Return the AsyncAPI document."""
        return Document(asyncapi.document(self._settings, self._version))
