"""The commands of a device: ``login``, ``logout`` and ``status``."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import PresenceError, StoreError
from ..pairing import PairedDevice, PairingCodes, begin_pairing, finish_pairing
from ..rest import Rest
from ..sync import Device
from ..values import STATUSES, Notification
from .output import Output

CLIENT = "dpresence-client"


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    login = commands.add_parser("login", help="connect this computer as a device of yours")
    login.add_argument("--device", default=_host_name(), help="name of this device; default: %(default)s")
    login.set_defaults(run=_login)
    commands.add_parser("logout", help="forget the credential of this computer").set_defaults(run=_logout)
    status = commands.add_parser("status", help="show yourself with a status until Ctrl-C, and print your notifications")
    status.add_argument("status", choices=STATUSES)
    status.set_defaults(run=_status)


def _host_name() -> str:
    return re.sub("[^A-Za-z0-9._:-]", "-", socket.gethostname())[:64] or "computer"


def credential_file(url: str) -> Path:
    """Return the file with the credential for a service."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dpresence-client"
    parts = urlsplit(url)
    return folder / f"{quote(f'{parts.netloc}{parts.path}'.rstrip('/'), safe='')}.json"


def load_credential(url: str) -> PairedDevice:
    """Return the stored credential for a service.

    :raises StoreError: there is none, or the file is damaged.
    """
    file = credential_file(url)
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return PairedDevice(*(str(stored[name]) for name in PairedDevice._fields))
    except FileNotFoundError:
        raise StoreError(f"this computer is not connected to {url}: run dpresence-client --service {url} login") from None
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{file} is damaged: delete it, and run dpresence-client --service {url} login") from None


def _store(url: str, paired: PairedDevice) -> None:
    file = credential_file(url)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    next_file = file.with_suffix(".new")
    with open(os.open(next_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(paired._asdict(), stream)
    next_file.replace(file)


def _login(options: argparse.Namespace, output: Output) -> None:
    former = _stored(options.service)
    codes = begin_pairing(options.service, options.device, CLIENT)
    _show(codes, options.service, output)
    paired = finish_pairing(options.service, codes)
    _store(options.service, paired)
    output.result(
        {"email": paired.email, "device": paired.device},
        f"This computer is connected as the device {paired.device} of {paired.email}.",
        *([_forgotten(former, options.service)] if former is not None and former[1:] != paired[1:] else []),
        "Next: dpresence-client status online",
    )


def _stored(url: str) -> PairedDevice | None:
    try:
        return load_credential(url)
    except StoreError:
        return None


def _forgotten(paired: PairedDevice, url: str) -> str:
    text = f"The credential of the device {paired.device} of {paired.email} is deleted here."
    return f"{text} To end it everywhere, sign that device out on {url}/sidebar."


def _show(codes: PairingCodes, url: str, output: Output) -> None:
    """Show the code, and as a QR code to a terminal."""
    if output.is_terminal:
        with suppress(PresenceError):  # the address and the code are enough
            output.hint(Rest(url).call("GET", f"/pair/qr?code={codes.user_code}", accept="text/plain"))
    page, minutes = codes.verification_uri_complete, codes.expires_in // 60
    shown = {"user_code": codes.user_code, "verification_uri": page, "expires_in": codes.expires_in}
    output.result(shown, f"Open {page}", f"The page shows the code {codes.user_code}. It is valid for {minutes} minutes.")


def _logout(options: argparse.Namespace, output: Output) -> None:
    paired = load_credential(options.service)
    credential_file(options.service).unlink()
    output.result({"device": paired.device}, _forgotten(paired, options.service))


def _status(options: argparse.Namespace, output: Output) -> None:
    paired = load_credential(options.service)
    url, status = options.service, options.status
    with Device(url, paired.email, lambda: paired.credential, device=paired.device, status=status, kind="terminal") as device:
        state = {"status": status, "email": paired.email, "device": paired.device, "connected": device.connected}
        now = f"{paired.email} is {status} on {paired.device}; Ctrl-C ends this."
        output.result(state, now if device.connected else "The service does not answer; this computer goes on trying.")
        try:
            for notification in device:
                output.result({"notification": notification._asdict()}, _in_words(notification))
        except KeyboardInterrupt:
            with suppress(PresenceError):
                device.status = "offline"  # at once: nobody waits for this computer to come back
            raise
    raise PresenceError("the connection has ended")


def _in_words(notification: Notification) -> str:
    return " ".join(filter(None, (f"{notification.domain}: {notification.source}:", notification.message, notification.action)))
