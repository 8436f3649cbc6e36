"""Shows its user as unavailable while the screen of this computer is locked, and as offline while it sleeps."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path

from dpresence_client import InvalidCredentials, PairedDevice, PresenceError, SignedOut, begin_pairing, finish_pairing
from dpresence_client.aio import Device
from screen import NoLogind, Screen

FILE = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "dpresence-desktop.json"
PERMANENT = 2  # exit status after which a restart does not help


def pair(url: str) -> PairedDevice:
    """Ask the user to confirm this computer, in any browser; return its credential."""
    name = re.sub(r"[^A-Za-z0-9._:-]", "-", platform.node())[:64] or "desktop"
    codes = begin_pairing(url, device=name, client="Desktop")
    print(f"Open {codes.verification_uri_complete} and confirm the code {codes.user_code}", flush=True)
    return finish_pairing(url, codes)


def paired(url: str) -> PairedDevice:
    """Return the credential of this computer at a service, which is stored where only its user can read it."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # there is none, or the file is damaged
        stored = dict(json.loads(FILE.read_text()))
        if stored.pop("url") == url:
            return PairedDevice(**stored)
    device = pair(url)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.unlink(missing_ok=True)
    with open(os.open(FILE, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump({"url": url, **device._asdict()}, file)
    return device


async def follow(screen: Screen, me: Device) -> None:
    """Set the status to that of the screen until the computer sleeps.

    :raises PresenceError: the service refused this device for good.
    """
    closed = asyncio.ensure_future(me.wait_closed())
    try:
        while not screen.asleep:
            me.status = screen.status
            change = asyncio.ensure_future(screen.change())
            await asyncio.wait([closed, change], return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                change.cancel()
                return closed.result()
            await change
    finally:
        closed.cancel()


async def run(url: str, device: PairedDevice) -> None:
    """Be a device while the computer is awake."""
    async with Screen() as screen:
        while True:
            await screen.delay_sleep()
            # with 0 seconds, no change is missed while the service cannot be reached
            me = Device(url, device.email, lambda: device.credential, device=device.device, status=screen.status, open_seconds=0)
            async with me:
                await follow(screen, me)
                me.status = "offline"  # at once, not when the service finds the connection dead
            screen.allow_sleep()
            while screen.asleep:
                await screen.change()


def main() -> int:
    """Read the arguments, pair at the first start, and run until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--service", metavar="URL", default=os.environ.get("DPRESENCE_URL", "http://127.0.0.1:8282"), help="default: %(default)s"
    )
    url = parser.parse_args().service
    try:
        device = paired(url)
        print(f"This computer is the device {device.device} of {device.email}.", flush=True)
        asyncio.run(run(url, device))
    except (SignedOut, InvalidCredentials):
        FILE.unlink(missing_ok=True)
        print("This computer was signed out. Start this program again to connect it.", file=sys.stderr)
        return PERMANENT
    except NoLogind as error:
        print(f"logind cannot be asked: {error}", file=sys.stderr)
        return 1
    except PresenceError as error:
        print(error, file=sys.stderr)
        return PERMANENT
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
