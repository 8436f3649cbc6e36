"""The AppService Presence Channel, websocket ``/myapps/<appid>`` (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Clock
from ..errors import CloseCode, Conflict, InvalidKey, NoCredentials, Refused, WrongField
from ..messages import Authenticate, AuthReply, Notify, NotifyReply, Ping, or_unset, parse, position_of
from ..service import Services
from ..service.app_sessions import ChannelsFull
from ..settings import Settings
from .feed_channel import FeedChannel

_MAX_FAILED_SIGN_INS = 3


class AppServiceChannel(FeedChannel):
    """One connection of an application's service. Implements ``hub.AppServicePort``.

    :param appid: the application in the path. Its existence and state were checked before the 101.
    """

    __slots__ = ("_failed_sign_ins",)

    kind = "app service"

    def __init__(self, appid: str, services: Services, settings: Settings, clock: Clock) -> None:
        super().__init__(appid, services, settings, clock)
        self._failed_sign_ins = 0

    # -- frames

    def handle(self, action: str | None, text: str) -> None:
        """Handle ``auth`` and, after it, ``notify`` and ``ping``."""
        frames: dict[str, tuple[type[Authenticate | Notify | Ping], Callable[..., None]]] = {
            "auth": (Authenticate, self._authenticate),
            "notify": (Notify, self._notify),
            "ping": (Ping, self._ping),
        }
        if action is None:
            raise WrongField("action: is missing")
        if action not in frames:
            raise WrongField(f"action: is not known here; one of {', '.join(frames)}")
        kind, handler = frames[action]
        frame = parse(kind, text)
        if self._session is None and action != "auth":
            raise NoCredentials("action: auth comes first")
        self.defer(lambda: handler(frame), text)

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO; close the channel after three frames without a sign-in or with wrong keys."""
        super().refuse(refused, text)
        if isinstance(refused, ChannelsFull):
            self.close(CloseCode.TRY_AGAIN_LATER, refused.error)
        if isinstance(refused, NoCredentials | InvalidKey):
            self._failed_sign_ins += 1
            if self._failed_sign_ins >= _MAX_FAILED_SIGN_INS:
                self.close(CloseCode.NOT_SIGNED_IN, "not signed in")

    def _authenticate(self, frame: Authenticate) -> None:
        if self._session is not None:
            raise Conflict("action: this channel is signed in already")
        session = self._services.app_sessions.open(self, self._appid, frame.key, frame.since, self.connection.address)
        reply = AuthReply(recovery="snapshot" if session.offset is None else "replayed", id=or_unset(frame.id))
        self.begin(session, reply, position_of(frame.outcomes))

    def _notify(self, frame: Notify) -> None:
        assert self._session is not None
        results = self._services.notifications.notify(self._session.application, frame.notifications)
        self.send(NotifyReply(notifications=results, id=or_unset(frame.id)))

    def _ping(self, frame: Ping) -> None:
        """Answer. The frames of a connection are handled in order, so the answer follows the updates that ``auth`` has sent."""
        self.answer_ok(frame.id)
