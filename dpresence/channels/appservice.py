"""The AppService Presence Channel, websocket ``/myapps/<appid>`` (docs/protocol.md, section 5)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import cast

from .. import messages
from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, Conflict, InvalidKey, NoCredentials, NotFound, Refused, WrongField
from ..hub import ApplicationPort, Pump
from ..messages import MOST_ENTRIES, Authenticate, Notify, parse
from ..model import Application
from ..service import Presence
from ..service.applications import key_id
from ..service.feeds import Feeds
from ..service.turns import give_way
from ..settings import Settings
from .base import JsonChannel
from .frames import FrameLimits, text_frame

log = logging.getLogger(__name__)

_STRIKES = 3
_LOOK_SECONDS = 60
"""How often a channel's key is looked at again: nothing tells of the end of an overlap, and a wake-up may be lost."""
_NO_LONGER: dict[type[Refused], tuple[CloseCode, str]] = {
    NotFound: (CloseCode.UNKNOWN_APPLICATION, "the application is gone"),
    InvalidKey: (CloseCode.NOT_SIGNED_IN, InvalidKey.text),
}
_INACTIVE = (CloseCode.DEACTIVATED, "the application is not active")


class AppServiceChannel(JsonChannel):
    """One connection of an application's service. The hub knows it as an ``ApplicationPort``.

    :param appid: the application of the path; that it exists and is active was seen before the 101.
    """

    __slots__ = (
        *("_appid", "_application", "_key_id", "_limits", "_look_at", "_presence", "_snapshot_due", "_strikes"),
        *("following", "offset"),
    )

    def __init__(self, appid: str, presence: Presence, settings: Settings, clock: Clock) -> None:
        super().__init__(settings.channels, clock, presence.metrics)
        channels = settings.channels
        self.limits = FrameLimits(
            channels.appservice_frame_bytes, channels.appservice_frame_rate, channels.appservice_frame_burst, channels.fragments
        )
        self._appid = appid
        self._presence = presence
        self._limits = settings.presence
        self._application: Application | None = None
        self._key_id = ""
        self._look_at = 0.0
        self._snapshot_due = False  # whether one is owed, though it may be held back
        self._strikes = 0
        self.following = False  # whether it has had all up to ``offset`` and waits for news
        self.offset = 0

    # -- frames

    def handle(self, action: str | None, text: str) -> None:
        """Act on ``auth`` and, after it, on ``notify``."""
        frames: dict[str, tuple[type[Authenticate] | type[Notify], Callable[..., None]]] = {
            "auth": (Authenticate, self._authenticate),
            "notify": (Notify, self._notify),
        }
        if action is None:
            raise WrongField("action: is missing")
        if action not in frames:
            raise WrongField(f"action: is not known here; {' or '.join(frames)}")
        kind, handler = frames[action]
        frame = parse(kind, text)
        if self._application is None and action != "auth":
            raise NoCredentials("action: auth comes first")
        self.defer(lambda: handler(frame), text)

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO; who tries without a key or with wrong ones may do so three times."""
        super().refuse(refused, text)
        if isinstance(refused, NoCredentials | InvalidKey):
            self._strikes += 1
            if self._strikes >= _STRIKES:
                self.close(CloseCode.NOT_SIGNED_IN, "not signed in")

    def _authenticate(self, frame: Authenticate) -> None:
        if self._application is not None:
            raise Conflict("action: this channel is signed in already")
        application = self._presence.applications.authenticate(self._appid, frame.key, self.connection.address)
        offset = self._presence.feeds.offset(self._appid, frame.since) if frame.since is not None else None
        if len(self._presence.hub.channels_of(self._appid)) >= self._limits.sockets_per_application:
            full = Conflict(f"{self._limits.sockets_per_application} channels of this application are open already")
            self.connection.send(messages.ko(full, frame.id))
            self.close(CloseCode.TRY_AGAIN_LATER, full.error)
            return
        self._application, self._key_id = application, key_id(frame.key)
        self._look_at = self._clock.monotonic()  # at the next tick: a deactivation may have overtaken this
        self._presence.hub.join_application(self._appid, self)
        self.signed_in()
        self.reply(frame.id, action="auth", recovery="snapshot" if offset is None else "replayed")
        if offset is not None:
            self.offset = offset
            self._recover(self._follow)
        else:
            self._snapshot_due = True
            self._release()

    def _notify(self, frame: Notify) -> None:
        assert self._application is not None
        answers = self._presence.notifications.notify(self._application, frame.notifications)
        self.reply(frame.id, action="notify", notifications=answers)

    # -- snapshot and updates

    def tick(self) -> None:
        """Let a snapshot go that was held back; end a channel whose key works no longer."""
        super().tick()
        if self._application is not None and self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + _LOOK_SECONDS
            self.connection.defer(self._look_again)
        if self._snapshot_due:
            self.connection.defer(self._release)

    def check(self) -> None:
        """Look again whether the application is there and active and the key works."""
        self.connection.defer(self._look_again)

    def _look_again(self) -> None:
        try:
            self._presence.applications.look_again(self._appid, self._key_id)
        except BackendUnavailable:
            self._look_at = self._clock.monotonic()  # at the next tick
        except Refused as refused:
            self.close(*_NO_LONGER.get(type(refused), _INACTIVE))

    def _release(self) -> None:
        if self._snapshot_due and self._application is not None and not self._presence.feeds.held(self._application):
            self._snapshot_due = False
            self._recover(self._send_snapshot)

    def _recover(self, send: Callable[[], None]) -> None:
        """Bring the application up to date; when a backend is away it comes back for it."""
        try:
            send()
        except BackendUnavailable as error:
            self.close(CloseCode.TRY_AGAIN_LATER, f"{error.error}, retry_after={error.retry_after}")

    def _send_snapshot(self) -> None:
        assert self._application is not None
        offset, pages = self._presence.feeds.snapshot(self._application)
        page = next(pages)
        for following in pages:
            self.connection.send(messages.snapshot(page, None))
            self.connection.drain()
            give_way()  # a socket that takes everything never waits
            if self.connection.closed:
                return
            page = following
        self.connection.send(messages.snapshot(page, self._presence.feeds.cursor(offset)))
        self.offset = offset
        self._follow()

    def _follow(self) -> None:
        """Send what the feed has after ``offset``, then hear its news."""
        while not self.connection.closed:
            self.connection.drain()
            if not _advance(self._presence.feeds, self._appid, self.offset, [self]):
                break
            give_way()
        self.following = True
        self._presence.hub.news(self._appid)

    def closed(self, code: int, clean: bool) -> None:
        """Hear no more news."""
        if self._application is not None:
            log.info("app service session over: application %s, code %d%s", self._appid, code, "" if clean else ", not clean")
            self._presence.hub.leave_application(self._appid, self)


def _advance(feeds: Feeds, appid: str, offset: int, channels: Collection[AppServiceChannel]) -> bool:
    """Send channels that stand at ``offset`` the next frame of updates, encoded once; return whether more may follow."""
    updates = feeds.read(appid, offset)
    if updates is None:
        for channel in channels:
            channel.close(CloseCode.SLOW_READER, "the feed has moved on")
        return False
    if not updates:
        return False
    last = updates[-1].offset
    frame = text_frame(messages.updates(updates, feeds.cursor(last)))
    for channel in channels:
        channel.offset = last
        channel.connection.send_frame(frame)
    return len(updates) == MOST_ENTRIES


def pump_of(feeds: Feeds) -> Pump:
    """Return what brings an application's channels up to date; most stand at the same offset and share a frame."""

    def pump(appid: str, channels: Collection[ApplicationPort]) -> None:
        behind: defaultdict[int, list[AppServiceChannel]] = defaultdict(list)
        for channel in cast("Collection[AppServiceChannel]", channels):
            if channel.following:
                behind[channel.offset].append(channel)
        for group in behind.values():
            try:
                while _advance(feeds, appid, group[0].offset, group):
                    give_way()
            except BackendUnavailable as error:
                log.warning("updates of application %s are late: %s", appid, error.error)

    return pump
