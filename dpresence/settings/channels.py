"""Limits of connections and requests."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Limits of connections and requests, which protect against hostile and faulty clients."""

    origins: tuple[str, ...] = setting(
        (), "Origins besides the audience whose pages and apps may open a channel.", check=allowed.origins, allowed="origins"
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are used.",
        check=allowed.networks,
        allowed="addresses, networks",
    )
    sockets: int = setting(20000, "Maximum number of open connections of one process.", low=10, high=1000000)
    unsigned_per_address: int = setting(20, "Maximum number of channels of one address that have not signed in.", low=1, high=100000)
    accept_rate: float = setting(200.0, "Maximum number of new channels, per second.", low=1, high=100000)
    accept_burst: int = setting(
        500,
        "Maximum number of new channels at once, including those that are signing in; further ones get 503 with Retry-After.",
        low=1,
        high=100000,
    )
    plain_per_address: int = setting(
        1000,
        "Maximum number of connections of one address that are not channels; above that, its oldest idle one is closed.",
        low=1,
        high=1000000,
    )
    request_rate: float = setting(300.0, "Maximum number of HTTP requests of one address, per second.", low=1, high=1000000)
    request_burst: int = setting(1000, "Maximum number of HTTP requests of one address at once; further ones get 429.", low=1, high=1000000)
    connection_request_rate: float = setting(
        100.0, "Maximum number of HTTP requests on one connection, except a trusted proxy's, per second.", low=1, high=1000000
    )
    connection_request_burst: int = setting(
        300, "Maximum number of HTTP requests on one connection at once; further ones get 429.", low=1, high=1000000
    )
    failures_per_minute: int = setting(
        10,
        "Maximum number of failures of the same assertion, ticket or key at one address; ten times as many of different ones.",
        low=1,
        high=100000,
    )
    registrations_per_hour: int = setting(60, "Maximum number of applications registered from one address.", low=1, high=100000)
    handshake_seconds: int = setting(
        10,
        "A request whose header lines are not complete within this time is answered with 408; a late body is refused with errno 107.",
        low=1,
        high=120,
    )
    sign_in_seconds: int = setting(10, "A channel that has not signed in within this is closed with 4009.", low=1, high=120)
    send_seconds: int = setting(5, "A peer that reads nothing for this long is disconnected.", low=1, high=120)
    close_seconds: int = setting(2, "How long the service waits for a close frame.", low=1, high=30)
    idle_seconds: int = setting(
        60, "A channel whose frame is incomplete for this long is closed; so is an HTTP connection without progress.", low=5, high=600
    )
    device_frame_bytes: int = setting(16384, "Largest message of a device.", low=1024, high=16777216)
    device_frame_rate: float = setting(20.0, "Maximum number of frames of a device, per second.", low=1, high=1000000)
    device_frame_burst: int = setting(
        60, "Maximum number of frames of a device at once; more close the channel with 1008.", low=1, high=1000000
    )
    appservice_frame_bytes: int = setting(131072, "Largest message of an app service.", low=1024, high=16777216)
    appservice_frame_rate: float = setting(200.0, "Maximum number of frames of an app service, per second.", low=1, high=1000000)
    appservice_frame_burst: int = setting(
        400, "Maximum number of frames of an app service at once; more close the channel with 1008.", low=1, high=1000000
    )
    fragments: int = setting(64, "Maximum number of fragments of one message; more close the channel with 1008.", low=1, high=1000000)
    bad_frames: int = setting(20, "Number of bad frames in 60 seconds at which the channel is closed with 4013.", low=1, high=10000)
    send_buffer_bytes: int = setting(
        1048576,
        "Maximum number of bytes waiting for a slow reader; more close the channel with 4102.",
        low=65536,
        high=1073741824,
        former="outbox_bytes",
    )
    send_buffer_frames: int = setting(
        1000,
        "Maximum number of frames waiting for a slow reader; more close the channel with 4102.",
        low=10,
        high=1000000,
        former="outbox_frames",
    )
    body_bytes: int = setting(131072, "Largest body of a REST call.", low=1024, high=16777216)
