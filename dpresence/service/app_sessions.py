"""Sessions of app services on channels: sign-in with an API key, and the check whether they may stay (docs/protocol.md, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Conflict
from ..hub import AppServicePort, Hub
from ..metrics import Metrics
from ..model import Application, Offset
from ..model.looks import Via
from ..settings import PresenceSettings
from .api_keys import ApiKeys, key_id
from .looks import Looks
from .snapshots import SnapshotPosition, Snapshots


class ChannelsFull(Conflict):
    """The application has its maximum number of channels. The channel that receives this is closed."""


@dataclass(frozen=True, slots=True)
class AppSession:
    """A signed-in app service.

    :param key_id: public part of its API key.
    :param offset: offset in the feed at which its cursor continues; None if it needs a snapshot.
    :param unfinished: where the snapshot continues that another connection began; None if it begins anew.
    """

    application: Application
    key_id: str
    offset: Offset | None
    via: Via
    unfinished: SnapshotPosition | None = None


class AppSessions:
    """Signs app services in."""

    def __init__(
        self, api_keys: ApiKeys, snapshots: Snapshots, looks: Looks, hub: Hub, metrics: Metrics, settings: PresenceSettings
    ) -> None:
        self._api_keys = api_keys
        self._snapshots = snapshots
        self._looks = looks
        self._hub = hub
        self._metrics = metrics
        self._max_channels = settings.sockets_per_application

    def open(self, channel: AppServicePort, appid: str, key: str, since: str | None, address: str, via: Via = "channel") -> AppSession:
        """Sign an app service in and register its channel.

        :param since: the cursor of the last updates, or of the last page of an unfinished snapshot, that it received; None for a snapshot.
        :param via: as which reading the feed counts as a look; a long poll is a call of REST.
        :raises ChannelsFull: the application has too many channels at this process.
        :raises Refused: see ``ApiKeys.authenticate``.
        """
        application = self._api_keys.authenticate(appid, key, address)
        offset = self._snapshots.offset(appid, since) if since is not None else None
        unfinished = self._snapshots.resumed(appid, since) if since is not None and offset is None else None
        if len(self._hub.channels_of(appid)) >= self._max_channels:
            raise ChannelsFull(f"{self._max_channels} channels of this application are open already")
        self._hub.join_application(appid, channel)
        self._looks.record(appid, via)
        return AppSession(application, key_id(key), offset, via, unfinished)

    def check(self, session: AppSession) -> None:
        """Check that an app service may stay signed in, and count its open channel.

        :raises Refused: see ``ApiKeys.check``.
        """
        self._api_keys.check(session.application.id, session.key_id)
        if session.via == "channel":
            self._looks.record_daily(session.application.id, "channel")
