"""A connection of the driver, and single commands on it."""

from __future__ import annotations

from typing import Any, Protocol


class RedisConnection(Protocol):
    """The methods used of the driver's connections, which have no type hints. Every method raises the driver's errors."""

    def connect(self) -> None:
        """Connect and authenticate."""

    def disconnect(self) -> None:
        """Disconnect; never raises."""

    def send_command(self, *command: str | bytes | int) -> None:
        """Send a command."""

    def read_response(self, disable_decoding: bool = False) -> Any:
        """Wait for the next reply and return it: bytes, an integer, a list or None."""

    def can_read(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a reply; return whether one has begun to arrive."""


def ask(connection: RedisConnection, *command: str | bytes | int) -> Any:
    """Send one command and return its reply: bytes, an integer, a list or None."""
    connection.send_command(*command)
    return connection.read_response(disable_decoding=True)


def info(connection: RedisConnection, section: str = "default") -> dict[str, str]:
    """Return a section of INFO."""
    lines = (line.partition(":") for line in ask(connection, "INFO", section).decode().splitlines())
    return {key: value for key, colon, value in lines if colon}
