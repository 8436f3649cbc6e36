"""Sets people's Slack status and Matrix presence to what they show in dpresence.

python3 setter.py setter.ini
"""

from __future__ import annotations

import argparse
import asyncio
import configparser
import json
import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path

import httpx
from dpresence_client import FileStore, PresenceError
from dpresence_client.aio import AppService
from targets import Matrix, Slack
from writer import Writer

log = logging.getLogger("setter")
PERMANENT = 2  # exit status after which a restart does not help
CALL_SECONDS = 10.0
CLOSE_SECONDS = 15.0
SERVICES = ("dpresence", "slack", "matrix")


def writers_of(config: configparser.ConfigParser, client: httpx.AsyncClient) -> dict[str, list[Writer]]:
    """Return the accounts of each person, by PUID."""
    found: dict[str, list[Writer]] = {}
    for puid in set(config.sections()) - {*SERVICES}:
        person, writers = config[puid], found.setdefault(puid, [])
        if token := person.get("slack"):
            slack = Slack(client, config.get("slack", "url", fallback="https://slack.com/api"), token)
            writers.append(Writer(f"Slack of {puid[:4]}..", slack))
        if account := person.get("matrix"):
            user, token = account.split()
            writers.append(Writer(user, Matrix(client, config["matrix"]["url"], user, token)))
    return found


class Setter:
    """Follows one application.

    :param config: the sections of the configuration file.
    :param folder: where relative paths begin.
    """

    def __init__(self, config: configparser.ConfigParser, folder: Path, client: httpx.AsyncClient) -> None:
        registered = json.loads((folder / config["dpresence"]["registered"]).read_text())
        self._writers = writers_of(config, client)
        self._current = False
        access = (registered["service"], registered["appid"], registered["key"])
        self._app = AppService(*access, store=FileStore(folder / "table.json"), on_current=self._become)

    async def run(self) -> None:
        """Write each change until it is cancelled; then leave nobody online.

        :raises PresenceError: dpresence refuses the application for good.
        """
        tasks = [asyncio.ensure_future(writer.run()) for writers in self._writers.values() for writer in writers]
        try:
            async with self._app:
                if not self._app.connected:
                    self._become(False)
                async for change in self._app:
                    if self._current:
                        self._show(change.puid)
        finally:
            self._become(False)
            settled = [writer.settled() for writers in self._writers.values() for writer in writers]
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*settled), CLOSE_SECONDS)
            for task in tasks:
                task.cancel()

    def _become(self, current: bool) -> None:
        """Write every status: those of the table, or offline while they are not known."""
        self._current = current
        for puid in self._writers:
            self._show(puid)

    def _show(self, puid: str) -> None:
        entry = self._app.table.get(puid) if self._current else None
        for writer in self._writers.get(puid, ()):
            writer.want(entry.status if entry else "offline")


async def run(config: configparser.ConfigParser, folder: Path) -> None:
    """Run until SIGTERM or Ctrl-C."""
    async with httpx.AsyncClient(timeout=CALL_SECONDS) as client:
        try:
            made = Setter(config, folder, client)
        except (OSError, ValueError, KeyError, configparser.Error) as error:
            raise SystemExit(f"the configuration cannot be used: {error}") from None
        running = asyncio.ensure_future(made.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


def main() -> int:
    """Read the arguments and the configuration, and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    file = parser.parse_args().config
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(file.read_text())
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(run(config, file.parent))
    except PresenceError as error:
        print(error, file=sys.stderr)
        return PERMANENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
