"""Bodies of a developer's applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from .. import texts
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
