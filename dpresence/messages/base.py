"""The base of all frames, and the body of calls without fields."""

from __future__ import annotations

from msgspec import Struct

from .fields import Id


class Frame(Struct, forbid_unknown_fields=True):
    """Base of all frames.

    :param id: optional identifier, which the reply repeats.
    """

    id: Id = None


class Empty(Struct, forbid_unknown_fields=True):
    """The body of a call without documented fields."""
