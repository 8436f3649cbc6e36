"""The fetcher for addresses that developers choose: public ones, and those in ``outbound.allow_networks``."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from .errors import SettingError
from .networks import is_public, look_up
from .outbound import Fetcher, Resolve
from .settings import OutboundSettings

FAILED_LOOKUP_SECONDS = 0.75
"""Minimum duration of a failed look-up. A name of the operator's network is answered sooner than one that nobody has, and developers and
browsers see how long a request takes. Shorter than the time after which ``slots`` may cut a request short.
"""


def public_fetcher(
    settings: OutboundSettings,
    *,
    seconds: float,
    body_bytes: int,
    resolve: Resolve = look_up,
    is_public: Callable[[str], bool] = is_public,
) -> Fetcher:
    """Return a fetcher, of which a failed look-up takes ``FAILED_LOOKUP_SECONDS`` at least, but not more than half of the time.

    :param is_public: function that returns whether connections to an address are allowed, besides ``outbound.allow_networks``.
    :raises SettingError: ``outbound.ca_file`` cannot be read.
    """
    allowed = tuple(ipaddress.ip_network(network) for network in settings.allow_networks)

    def may_connect(address: str) -> bool:
        ip = ipaddress.ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return is_public(address) or any(ip in network for network in allowed)

    try:
        return Fetcher(
            may_connect,
            "is not public and not in outbound.allow_networks",
            seconds=seconds,
            body_bytes=body_bytes,
            ca_file=settings.ca_file,
            resolve=resolve,
            failed_lookup_seconds=min(FAILED_LOOKUP_SECONDS, seconds / 2),
        )
    except OSError as error:
        raise SettingError(f"outbound.ca_file: must be a file with certificates, PEM ({error.strerror})") from None
