"""The sign-in buttons of providers: their icon and colour."""

from __future__ import annotations

from dataclasses import dataclass

from ..pictures import load_picture
from ..settings import ProviderSettings

ICON_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Button:
    """A sign-in button.

    :ivar icon: the file, empty without one.
    :ivar icon_type: its media type.
    :ivar color: colour of the button as ``#rrggbb``, "" for that of other buttons.
    """

    icon: bytes = b""
    icon_type: str = ""
    color: str = ""

    @property
    def text_color(self) -> str:
        """Black or white, whichever contrasts more with the colour; the contrast is always 4.5 or more."""
        return "#ffffff" if contrast(self.color, "#ffffff") >= contrast(self.color, "#000000") else "#000000"


PLAIN = Button()


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2), from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    """Return the relative luminance of a colour ``#rrggbb``, from 0 to 1."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def load_button(settings: ProviderSettings) -> Button:
    """Return the button of a provider.

    :raises SettingError: the icon is unreadable, too large, or neither PNG nor SVG.
    """
    if not settings.icon:
        return Button(color=settings.color.lower()) if settings.color else PLAIN
    icon = load_picture(settings.icon, f"oidc.{settings.name}.icon", ICON_BYTES)
    return Button(icon.data, icon.content_type, settings.color.lower())
