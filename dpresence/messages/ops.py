"""Bodies of the Dockerflow endpoints (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class Heartbeat(Struct):
    """The answer to ``GET /__heartbeat__`` (section 6): whether each backend answers and stores what is written.

    :param redis: the state of Redis (docs/operations.md, When Redis fails). Omitted if it is not used.
    :param redis_servers: the state of each Redis server, by host, port and database. Omitted if the tracker has only one.
    :param providers: whether each OpenID Connect provider answered when it was last asked, by name. Omitted without providers.
    """

    directory: bool
    tracker: bool
    mailbox: bool
    redis: str | UnsetType = UNSET
    redis_servers: dict[str, str] | UnsetType = UNSET
    providers: dict[str, bool] | UnsetType = UNSET


class Alive(Struct):
    """The answer to ``GET /__lbheartbeat__``, an empty object (section 6)."""


class Version(Struct):
    """The answer to ``GET /__version__`` in Dockerflow's format (section 6).

    :param source: address of the repository, as far as it is known.
    """

    name: str
    version: str
    source: str | None = None
    commit: str | None = None
    build: str | None = None
