"""The objects that requests share, with their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .backends import Backends
from .clock import Clock
from .identity import Minter
from .identity.oidc_client import Clients
from .pictures import Picture
from .service import Services
from .settings import Settings

if TYPE_CHECKING:  # not imported in production
    from .identity.development_token import DevelopmentToken

KEY = "dpresence"
"""Key of the ``Registry`` in Pyramid's registry."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The long-lived objects of one application that views and channels use.

    :ivar clients: sign-in at OpenID Connect providers.
    :ivar logo: the operator's logo, None without one.
    :ivar development_issuer: None in production, as is ``development_token``.
    """

    settings: Settings
    clock: Clock
    backends: Backends
    services: Services
    clients: Clients
    logo: Picture | None
    development_issuer: Minter | None
    development_token: DevelopmentToken | None

    @property
    def secure(self) -> bool:
        """True if browsers reach this service over https."""
        return self.settings.identity.audience.startswith("https://")

    def close(self) -> None:
        """Release the backends."""
        self.backends.close()
