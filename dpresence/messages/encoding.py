"""Encoding of outgoing messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
"""Encode an outgoing message, or a part of one, as JSON. It is called for every frame and therefore not wrapped."""
