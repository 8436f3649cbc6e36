"""Encoding of outgoing messages."""

from __future__ import annotations

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def encode(message: Any) -> bytes:
    """Encode an outgoing message, or a part of one, as JSON."""
    return _encoder.encode(message)
