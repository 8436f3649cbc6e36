"""The line of the log at the end of each channel."""

from __future__ import annotations

import logging

from .channel import Channel

log = logging.getLogger(__name__)


def log_end(channel: Channel, connection_id: str, code: int, clean: bool, seconds: float, frames: int) -> None:
    """Log the end of a channel; if nobody has signed in, only at the level DEBUG, because anyone can open such a channel.

    :param frames: number of frames that the peer has sent, without pongs.
    """
    peer = channel.peer
    level = logging.DEBUG if peer is None else logging.INFO
    if not log.isEnabledFor(level):
        return
    about = "not signed in, " if peer is None else "".join(f"{name} {value}, " for name, value in peer.items())
    fields = {"session": connection_id, "kind": channel.kind, "code": code, "clean": clean, "t": round(1000 * seconds), "frames": frames}
    text, unclean = "%s session ended: %scode %d%s, %.1f s, %d frames", "" if clean else ", not clean"
    log.log(level, text, channel.kind, about, code, unclean, seconds, frames, extra={**fields, **(peer or {})})
