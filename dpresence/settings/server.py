"""The port."""

from __future__ import annotations

from dataclasses import dataclass

from .declaration import refuse, setting


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of ``[server:main]``."""

    host: str = setting("127.0.0.1", "Address to listen on.", allowed="an address")
    port: int = setting(8282, "Port to listen on; 0: any free port.", low=0, high=65535)
    workers: int = setting(1, "Processes; more than one needs a tracker in Redis.", low=1, high=256)
    certfile: str = setting("", "TLS certificate chain, PEM; empty: plain http.", allowed="a file")
    keyfile: str = setting("", "TLS key, PEM.", allowed="a file")

    def check(self) -> None:
        """Refuse a certificate without a key, and a key without a certificate."""
        refuse(bool(self.certfile) != bool(self.keyfile), "certfile", self.certfile, "set together with keyfile")
