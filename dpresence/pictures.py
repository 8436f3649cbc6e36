"""Pictures: files that the operator sets, in PNG or SVG, and uploaded ones, which become the icons of applications."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from .errors import SettingError, WrongValue

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = r"\s*([0-9]{1,7}(?:\.[0-9]+)?)"
_VIEW_BOX = re.compile(rf'<svg[^>]*\sviewBox=["\']\s*[-0-9.]+[\s,]+[-0-9.]+[\s,]+{_NUMBER}[\s,]+{_NUMBER}\s*["\']'.encode())

ICON_BYTES = 102_400
"""Maximum size of an uploaded picture."""
PIXELS = 128
"""Width and height of an icon."""
MAX_PIXELS = 1024
_MIN_PIXELS = 32
_FORMATS = ("PNG", "JPEG", "WEBP")
_SCAN = b"\xff\xda"
_MAX_SCANS = 32
"""Scans of a JPEG file. Encoders write ten at most, and each one takes the time of decoding the whole picture."""
ALLOWED_PICTURES = f"the picture: PNG, JPEG or WebP, up to {ICON_BYTES} bytes, from {_MIN_PIXELS} to {MAX_PIXELS} pixels wide and high"


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


def make_icon(data: bytes) -> bytes:
    """Return an icon, in WebP. A picture that is not square is centred on a transparent square. Takes up to 0.1 s of CPU time.

    :raises WrongValue: the data is no picture of an allowed format and size.
    """
    if not 0 < len(data) <= ICON_BYTES or data.count(_SCAN) > _MAX_SCANS:
        raise WrongValue(ALLOWED_PICTURES)
    try:
        return _convert(data)
    except WrongValue:
        raise
    except Exception:  # a damaged file makes Pillow raise errors of many kinds
        raise WrongValue(ALLOWED_PICTURES) from None


def _convert(data: bytes) -> bytes:
    from PIL import Image, ImageOps  # 10 MB of memory, in processes that need it

    warnings.filterwarnings("ignore", module=r"PIL\.")  # a file can have thousands of tags, each with a warning of its own
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(BytesIO(data), formats=_FORMATS) as opened:
        if not all(_MIN_PIXELS <= length <= MAX_PIXELS for length in opened.size):
            raise WrongValue(ALLOWED_PICTURES)
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    upright.info.clear()
    fitted = ImageOps.pad(upright, (PIXELS, PIXELS), color=(0, 0, 0, 0))
    encoded = BytesIO()
    fitted.save(encoded, "WEBP", quality=90, method=4)
    return encoded.getvalue()
