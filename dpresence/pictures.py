"""Pictures that the operator sets: files in PNG or SVG."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import SettingError

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = r"\s*([0-9]{1,7}(?:\.[0-9]+)?)"
_VIEW_BOX = re.compile(rf'<svg[^>]*\sviewBox=["\']\s*[-0-9.]+[\s,]+[-0-9.]+[\s,]+{_NUMBER}[\s,]+{_NUMBER}\s*["\']'.encode())


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    :ivar content_type: its media type.
    """

    data: bytes
    content_type: str

    @property
    def digest(self) -> str:
        """Identifier of this version of the picture."""
        return sha256(self.data).hexdigest()[:32]

    @property
    def proportion(self) -> float | None:
        """Width divided by height, from the header of the file; None if that has no size."""
        if self.data.startswith(_PNG):
            width, height = (float(int.from_bytes(self.data[at : at + 4], "big")) for at in (16, 20))
        elif found := _VIEW_BOX.search(self.data[:4096]):
            width, height = float(found[1]), float(found[2])
        else:
            return None
        return width / height if width and height else None


def load_picture(file: str, key: str, most_bytes: int) -> Picture:
    """Return the picture of a setting.

    :param key: the setting.
    :raises SettingError: the file is unreadable, larger than ``most_bytes``, or neither PNG nor SVG.
    """
    allowed = f"{key}: must be a PNG or SVG file of up to {most_bytes} bytes"
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(most_bytes + 1)
    except OSError as error:
        raise SettingError(f"{allowed} ({error.strerror})") from None
    if len(data) > most_bytes:
        raise SettingError(f"{allowed} (it is larger)")
    if data.startswith(_PNG):
        return Picture(data, "image/png")
    if data.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in data:
        return Picture(data, "image/svg+xml")
    raise SettingError(f"{allowed} (it is neither)")
