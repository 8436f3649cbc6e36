"""Bodies of a developer's applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any, Literal, Self

from msgspec import UNSET, Struct, UnsetType

from .. import texts
from ..model import ApiKey, Application
from .fields import Description, Domain, Name, checked


class ApplicationChange(Struct, forbid_unknown_fields=True):
    """``PATCH /myapps/<appid>``."""

    name: Name | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    description: Description | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            self.name = checked(self, "name", texts.name)
        if self.description is not UNSET:
            self.description = checked(self, "description", texts.description)


class NewApplication(ApplicationChange, kw_only=True):
    """``POST /myapps``."""

    name: Name
    domain: Domain
    description: Description = ""


class ApplicationBody(Struct, kw_only=True):
    """An application as its owner sees it (section 6).

    :param domain_key: the text that proves the domain when ``/__presence`` answers it.
    :param proof: scheme by which the domain was validated; null while it is not validated.
    :param created_at: milliseconds since the epoch.
    :param icon: path of the icon, below the address of this service. Omitted without one.
    """

    appid: str
    name: str
    domain: str
    description: str
    domain_key: str
    valid_domain: bool
    proof: Literal["https", "http"] | None
    active: bool
    created_at: int
    icon: str | UnsetType = UNSET

    @classmethod
    def of(cls, item: Application, **more: Any) -> Self:
        """Return an application.

        :param more: fields of the subclass.
        """
        fields: dict[str, Any] = {
            "appid": item.id,
            "name": item.name,
            "domain": item.domain,
            "description": item.description,
            "domain_key": item.domain_key,
            "valid_domain": item.valid_domain,
            "proof": item.validated_scheme,
            "active": item.active,
            "created_at": item.created_at,
            "icon": item.icon_path or UNSET,
        }
        return cls(**{**fields, **more})


class ActivatedApplication(ApplicationBody, kw_only=True):
    """The answer to ``POST /myapps/<appid>/activate`` (section 6).

    :param api_key: the new API key; no other answer contains it.
    """

    api_key: str


class KeyBody(Struct):
    """An API key without its secret (section 6).

    :param created_at: milliseconds since the epoch, as is ``expires_at``.
    :param last_used: a day (UTC, ``YYYY-MM-DD``), or null if it was never used.
    :param expires_at: when a replaced key stops working; null for the present key.
    """

    id: str
    created_at: int
    last_used: str | None
    expires_at: int | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Return an API key."""
        return cls(key.id, key.created_at, key.used_on, key.retires_at)


class ApplicationDetails(ApplicationBody, kw_only=True):
    """The answer to ``GET /myapps/<appid>`` (section 6).

    :param keys: the API keys that work, newest first.
    """

    keys: list[KeyBody]


class ApplicationPage(Struct):
    """The answer to ``GET /myapps``, in order of ``appid`` (section 6).

    :param next: the ``after`` of the next page. Omitted on the last page.
    """

    applications: list[ApplicationBody]
    next: str | UnsetType = UNSET


class NewKey(Struct):
    """The answer to ``POST /myapps/<appid>/key`` (section 6).

    :param api_key: the new API key; no other answer contains it.
    """

    appid: str
    api_key: str


class CurrentUsers(Struct):
    """The answer to ``GET /myapps/<appid>/now`` (section 6).

    :param online: number of users whom the application would see ``online``; the next two fields are counted in the same way.
    :param sockets: number of its channels in the answering process.
    :param updates: number of updates since the tracker's data began.
    """

    online: int
    unavailable: int
    offline: int
    sockets: int
    updates: int
