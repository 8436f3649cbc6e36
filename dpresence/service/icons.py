"""The icons of applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from gevent import Timeout
from gevent.threadpool import ThreadPool

from ..backends.directory import Directory, Requester
from ..clock import Clock
from ..errors import NotFound, SlowDown, TooLarge, WrongValue
from ..limits import RateLimit
from ..model import Application
from ..pictures import ALLOWED_PICTURES, ICON_BYTES, make_icon

_PER_HOUR = 60
"""Maximum number of pictures of one developer in an hour; each takes up to 0.1 s of CPU time."""
_DEADLINE_SECONDS = 5


class Icons:
    """Converts and stores the icons of applications. One picture at a time is converted, outside of the event loop."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._uploads = RateLimit("too many pictures of this developer", _PER_HOUR, 3600, clock)
        self._thread = ThreadPool(1)  # starts its thread when it is first used

    def put(self, application: Application, picture: bytes, requester: Requester) -> Application:
        """Replace the icon of an application and return the application.

        :raises TooLarge: the picture has more than ``ICON_BYTES``.
        :raises WrongValue: it has another format, or is too small or too large in pixels.
        :raises SlowDown: too many pictures were sent, by this developer or by all at the same time.
        :raises SessionEnded: see ``Applications.register``.
        """
        if len(picture) > ICON_BYTES:
            raise TooLarge(f"a picture may have {ICON_BYTES} bytes")
        self._uploads.charge(application.owner)
        with Timeout(_DEADLINE_SECONDS, SlowDown("many pictures are being converted", retry_after=_DEADLINE_SECONDS)):
            icon = self._thread.apply(_converted, (picture,))
        if icon is None:
            raise WrongValue(ALLOWED_PICTURES)
        return self._store(application, icon, requester)

    def remove(self, application: Application, requester: Requester) -> Application:
        """Remove the icon of an application, if it has one, and return the application."""
        return self._store(application, None, requester)

    def current(self, appid: str) -> bytes:
        """Return the present icon of an application.

        :raises NotFound: it has none.
        """
        application = self._directory.application(appid)
        if application is None or application.icon is None:
            raise NotFound()
        return self.find(appid, application.icon)

    def find(self, appid: str, version: str) -> bytes:
        """Return the icon of an application.

        :raises NotFound: it has no icon of this version.
        """
        icon = self._directory.icon(appid, version)
        if icon is None:
            raise NotFound()
        return icon

    def _store(self, application: Application, icon: bytes | None, requester: Requester) -> Application:
        changed = self._directory.set_icon(application.id, icon, requester)
        if changed is None:
            raise NotFound()
        return changed


def _converted(picture: bytes) -> bytes | None:
    """Return the icon, None if the picture is refused: gevent prints what a function in a thread raises."""
    try:
        return make_icon(picture)
    except WrongValue:
        return None
