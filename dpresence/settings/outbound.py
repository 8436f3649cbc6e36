"""Fetching of domain proofs."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """Requests to URLs that users choose: domain proofs, webhooks and the push services of browsers (docs/protocol.md, section 6)."""

    timeout_seconds: float = setting(5.0, "Maximum duration of a fetch of a domain proof.", low=1, high=30)
    body_bytes: int = setting(1024, "Largest response to a fetch of a domain proof.", low=64, high=65536)
    proofs_per_hour: int = setting(
        10, "Maximum number of domain proofs of one application that its developer requests.", low=1, high=100000
    )
    http_proof: bool = setting(True, "Try plain http if port 443 refuses the connection.")
    allow_networks: tuple[str, ...] = setting(
        (),
        "Networks that are not public but from which proofs may be fetched and to which webhooks may be sent, such as a company's own.",
        check=allowed.networks,
        allowed="networks",
    )
    ca_file: str = setting(
        "", "File with certificate authorities, PEM, that are trusted for a proof or a webhook besides the system's.", allowed="a file"
    )
    allow_loopback: bool = setting(False, "Let `localhost:<port>` and `127.0.0.1:<port>` be domains, fetched by http: development only.")
