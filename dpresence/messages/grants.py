"""Bodies of a user's grants (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import Struct

from .fields import Flag


class GrantChange(Struct, forbid_unknown_fields=True):
    """``PATCH /grant/<appid>``."""

    paused: Flag
