"""The operator's name, logo and links on the pages."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class PagesSettings:
    """The operator's name, logo and links, which every page shows (docs/pages.md)."""

    operator: str = setting(
        "",
        "Name of the person or organization that runs the service, in the header and the footer of the pages; empty: dpresence.",
        check=allowed.title,
        allowed="up to 64 visible characters",
    )
    logo: str = setting(
        "",
        "File with the operator's logo, PNG or SVG, of up to 64 KiB, shown 24 pixels high in the header; empty: that of dpresence.",
        allowed="a file",
    )
    privacy_url: str = setting(
        "",
        "Web address of the operator's privacy statement, linked on every page; empty: none.",
        check=allowed.web_address,
        allowed="an https or http URL",
    )
    contact: str = setting(
        "",
        "E-mail or web address of the operator, linked on every page; empty: none.",
        check=allowed.contact,
        allowed="an e-mail, or an https or http URL",
    )

    @property
    def contact_link(self) -> str:
        """The URL of ``contact``."""
        return self.contact if "://" in self.contact else f"mailto:{self.contact}"
