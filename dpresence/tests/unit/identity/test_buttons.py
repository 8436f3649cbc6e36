"""Icon and colour of a provider's sign-in button."""

from __future__ import annotations

import re
from itertools import product

import pytest

from dpresence.errors import SettingError
from dpresence.identity.buttons import ICON_BYTES, PLAIN, Button, contrast, load_button
from dpresence.settings import ProviderSettings

PNG, SVG = b"\x89PNG\r\n\x1a\nx", b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def test_contrast_is_that_of_the_guidelines():
    assert round(contrast("#ffffff", "#000000"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
    assert contrast("#123456", "#123456") == 1


def test_the_text_of_every_colour_can_be_read():
    steps = [f"{value:02x}" for value in range(0, 256, 15)]
    for red, green, blue in product(steps, repeat=3):
        color = f"#{red}{green}{blue}"
        assert contrast(color, Button(color=color).text_color) >= 4.5, color


@pytest.mark.parametrize(
    ("color", "text"), [("#24292f", "#ffffff"), ("#ffffff", "#000000"), ("#FFD84D", "#000000"), ("#4285f4", "#000000")]
)
def test_the_text_is_black_or_white(color, text):
    assert Button(color=color).text_color == text


@pytest.mark.parametrize(
    ("icon", "kind"), [(PNG, "image/png"), (SVG, "image/svg+xml"), (b"\xef\xbb\xbf<?xml version='1.0'?>\n" + SVG, "image/svg+xml")]
)
def test_an_icon_is_png_or_svg(tmp_path, icon, kind):
    (tmp_path / "icon").write_bytes(icon)
    assert load_button(ProviderSettings("corp", icon=str(tmp_path / "icon"), color="#ABCDEF")) == Button(icon, kind, "#abcdef")
    assert load_button(ProviderSettings("corp")) == PLAIN


@pytest.mark.parametrize(
    ("icon", "why"),
    [(b"GIF89a", "it is neither"), (b"<html><svg>", "it is neither"), (b"", "it is neither"), (PNG + b"x" * ICON_BYTES, "it is larger")],
)
def test_any_other_icon_stops_the_start(tmp_path, icon, why):
    (tmp_path / "icon").write_bytes(icon)
    allowed = re.escape(f"oidc.corp.icon: must be a PNG or SVG file of up to 32768 bytes ({why})")
    with pytest.raises(SettingError, match=f"^{allowed}$"):
        load_button(ProviderSettings("corp", icon=str(tmp_path / "icon")))


def test_an_icon_that_is_missing_stops_the_start(tmp_path):
    with pytest.raises(SettingError, match="No such file or directory"):
        load_button(ProviderSettings("corp", icon=str(tmp_path / "icon")))
