"""Icons of applications: what is accepted, what becomes of it, who may change it, and who sees it (section 6)."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from dpresence.pictures import ICON_BYTES, make_icon
from dpresence.tests.web.support import App, World, ko, refusal

ANN = "ann@example.org"
HTML = {"Accept": "text/html"}
REFUSED = (400, ko(107, "the picture: PNG, JPEG or WebP, up to 102400 bytes, from 32 to 1024 pixels wide and high"))


def picture(kind: str, size: tuple[int, int] = (64, 64), mode: str = "RGB", **more: Any) -> bytes:
    made = BytesIO()
    Image.new(mode, size, 200).save(made, kind, **more)
    return made.getvalue()


def png(width: int, height: int) -> bytes:
    """Return a small file that unpacks to a picture of any size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(10_000_000))), (b"IEND", b""))
    written = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def webp_canvas(width: int, height: int) -> bytes:
    """Return an animation that declares a large canvas."""
    frame = picture("WEBP", (40, 40))[12:]
    sizes = [(side - 1).to_bytes(3, "little") for side in (width, height, 40, 40)]
    parts = (b"VP8X", b"\2\0\0\0" + sizes[0] + sizes[1]), (b"ANIM", bytes(6)), (b"ANMF", bytes(6) + sizes[2] + sizes[3] + bytes(4) + frame)
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data for kind, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def many_scans() -> bytes:
    """Return a progressive JPEG whose last scan comes again and again: each one takes the time of the whole picture."""
    made = picture("JPEG", (1024, 1024), progressive=True)
    last = made.rfind(b"\xff\xda")
    return made[:-2] + made[last:-2] * 200 + made[-2:]


def shown(world: World, path: str) -> Image.Image:
    return Image.open(BytesIO(world.browser()("GET", path).body))


@pytest.mark.parametrize(
    "sent",
    [
        *(picture("PNG", mode=mode) for mode in ("RGB", "L", "LA", "1", "P")),
        picture("JPEG", (1024, 32)),
        picture("JPEG", mode="CMYK"),
        picture("WEBP", lossless=True),
    ],
)
def test_png_jpeg_and_webp_become_a_square_in_webp(world: World, app: App, sent: bytes) -> None:
    path = app.owner("PUT", f"/myapps/{app.id}/icon", sent).json["icon"]
    icon = shown(world, path)
    assert (icon.format, icon.size) == ("WEBP", (128, 128))


def test_an_icon_is_upright_and_has_nothing_of_the_file_but_the_picture(world: World, app: App) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    sent = picture("JPEG", (100, 50), exif=exif, comment=b"taken at home", icc_profile=b"taken at home" * 20)
    path = app.owner("PUT", f"/myapps/{app.id}/icon", sent).json["icon"]
    answer = world.browser()("GET", path)
    icon = shown(world, path)
    assert b"home" not in answer.body and not {"exif", "icc_profile", "xmp"} & set(icon.info)
    assert [icon.getpixel(at)[3] for at in ((5, 64), (64, 5), (64, 64))] == [0, 255, 255], "turned, and centred on a transparent square"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture("GIF"),
        picture("BMP"),
        picture("PNG", (31, 64)),
        picture("PNG", (1025, 64)),
        picture("PNG")[:80],
        png(50_000, 50_000),
        png(10_000, 10_000),
        webp_canvas(16_000, 16_000),
        many_scans(),
    ],
    ids=["empty", "SVG", "GIF", "BMP", "small", "wide", "cut", "bomb", "smaller bomb", "canvas", "scans"],
)
def test_an_invalid_or_too_expensive_picture_is_refused(app: App, sent: bytes) -> None:
    assert refusal(app.owner("PUT", f"/myapps/{app.id}/icon", sent)) == REFUSED
    assert "icon" not in app.owner("GET", f"/myapps/{app.id}").json


def test_a_damaged_picture_is_an_icon_or_refused_and_nothing_else(app: App) -> None:
    for sent in (picture("PNG", mode="P"), picture("JPEG", progressive=True), picture("WEBP")):
        for at in range(0, min(len(sent), 400), 7):
            damaged = sent[:at] + bytes([sent[at] ^ 0x5A]) + sent[at + 1 :]
            try:
                assert make_icon(damaged).startswith(b"RIFF")
            except Exception as error:
                assert type(error).__name__ == "WrongValue", (at, error)


def test_a_picture_with_thousands_of_strange_tags_leaves_nothing_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    tags = b"".join(struct.pack("<HHII", tag, 5, 8000, 8) for tag in range(1000, 1500))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 501) + struct.pack("<HHII", 0x0112, 3, 1, 6) + tags + bytes(4)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert make_icon(picture("JPEG", exif=exif)).startswith(b"RIFF")
    assert ([str(each.message) for each in warned], capfd.readouterr()) == ([], ("", ""))


def test_a_large_file_is_refused_before_it_is_read(app: App) -> None:
    answer = app.owner("PUT", f"/myapps/{app.id}/icon", picture("PNG") + bytes(ICON_BYTES))
    assert refusal(answer) == (413, ko(113, "a picture may have 102400 bytes"))


def test_an_icon_is_served_for_good_to_anybody_as_nothing_but_a_picture(world: World, app: App) -> None:
    path = app.owner("PUT", f"/myapps/{app.id}/icon", picture("PNG")).json["icon"]
    headers = world.browser()("GET", path).headers
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("image/webp", "public, max-age=31536000, immutable")
    assert (headers["X-Content-Type-Options"], headers["Content-Security-Policy"]) == (
        "nosniff",
        "default-src 'none'; frame-ancestors 'none'",
    )
    changed = app.owner("PUT", f"/myapps/{app.id}/icon", picture("PNG", (64, 40))).json["icon"]
    assert changed != path and refusal(world.browser()("GET", path))[0] == 404
    assert app.owner("DELETE", f"/myapps/{app.id}/icon").status_int == 204
    assert refusal(world.browser()("GET", changed)) == (404, ko(110, "not found"))
    assert app.owner("DELETE", f"/myapps/{app.id}/icon").status_int == 204, "there is none, as wanted"


def test_the_present_icon_is_found_by_the_id_alone(world: World, app: App) -> None:
    assert refusal(world.browser()("GET", f"/icons/{app.id}")) == (404, ko(110, "not found"))
    assert refusal(world.browser()("GET", "/icons/nothing")) == (404, ko(110, "not found"))
    for sent in (picture("PNG"), picture("PNG", (64, 40))):
        path = app.owner("PUT", f"/myapps/{app.id}/icon", sent).json["icon"]
        answer = world.browser()("GET", f"/icons/{app.id}")
        assert answer.body == world.browser()("GET", path).body
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("image/webp", "public, max-age=300")
    app.owner("DELETE", f"/myapps/{app.id}/icon")
    assert refusal(world.browser()("GET", f"/icons/{app.id}")) == (404, ko(110, "not found"))


def test_only_the_owner_changes_an_icon(world: World, app: App) -> None:
    for call in (("PUT", f"/myapps/{app.id}/icon", picture("PNG")), ("DELETE", f"/myapps/{app.id}/icon", None)):
        assert refusal(world.person(ANN)(*call)) == (404, ko(110, "not found"))


def test_a_developer_sends_pictures_at_a_limited_rate(app: App) -> None:
    sent = [app.owner("PUT", f"/myapps/{app.id}/icon", b"x").status_int for _ in range(61)]
    assert sent == [400] * 60 + [429]


def test_people_see_the_icon_where_they_decide_and_wherever_the_application_is_listed(world: World, app: App) -> None:
    ann, asking = world.person(ANN), f"/grant/{app.id}?redirect=http://{world.proof.domain}/"
    assert "icon" not in ann("GET", f"/grant/{app.id}").json and 'class="sign" data-hue' in ann("GET", asking, **HTML).text
    path = app.owner("PUT", f"/myapps/{app.id}/icon", picture("PNG")).json["icon"]
    ann("POST", f"/grant/{app.id}")
    assert ann("GET", f"/grant/{app.id}").json["icon"] == ann("GET", "/grants").json["grants"][0]["icon"] == path
    for browser, page in ((ann, asking), (app.owner, "/myapps"), (app.owner, f"/myapps/{app.id}")):
        assert f'<img class="sign" src="{path}"' in browser("GET", page, **HTML).text, page
    assert app.owner("GET", "/account").json["applications"][0]["icon"] == path, "the export has it"
