"""Addresses of pages as QR codes, for devices without a browser (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections import OrderedDict
from io import BytesIO, StringIO

from ..addresses import network
from ..clock import Clock
from ..limits import RateLimit

MAX_PICTURES = 128
"""Pictures that are kept; each has some 2 KB."""
FORMS = 2
"""A picture is an SVG, or text."""


class QrCodes:
    """Draws QR codes, which takes milliseconds of the event loop, and keeps the last ones.

    :param per_hour: maximum number of addresses that are drawn for one client address in an hour, in both forms.
    """

    def __init__(self, per_hour: int, clock: Clock) -> None:
        self._drawn = RateLimit("too many QR codes for this address", FORMS * per_hour, 3600, clock)
        self._kept: OrderedDict[tuple[str, bool], bytes] = OrderedDict()

    def picture(self, url: str, as_text: bool, address: str) -> bytes:
        """Return the QR code of a URL: an SVG, or text for terminals.

        :param address: the client address. What is kept does not count against its limit.
        :raises SlowDown: too many were drawn for this address.
        """
        key = url, as_text
        if key not in self._kept:
            self._drawn.charge(network(address))
            self._kept[key] = _draw(url, as_text)
            if len(self._kept) > MAX_PICTURES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _draw(url: str, as_text: bool) -> bytes:
    import segno  # only here, as it takes a service that nobody pairs with longer to start

    code = segno.make(url, micro=False)
    if as_text:
        text = StringIO()
        code.terminal(text, compact=True, border=2)
        return text.getvalue().encode()
    svg = BytesIO()
    code.save(svg, kind="svg", scale=6, xmldecl=False, light="#fff")
    return svg.getvalue()
