"""The command ``simulate``: plays people and their devices against a development service."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List

from .. import aio
from ..errors import PresenceError
from ..testing.people import Application, Person, register
from ..testing.proof import ProofServer
from ..testing.simulation import CUT, Scenario, SimulatedDevice, read_scenario
from .output import Output


def add_commands(commands: Any) -> None:
    """Add the command to the parser."""
    simulate = commands.add_parser("simulate", help="play people and devices against a development service")
    simulate.add_argument("scenario", type=Path, help="a TOML file")
    simulate.add_argument("--token-file", type=Path, default=Path("development.token"), help="default: %(default)s")
    simulate.set_defaults(run=_simulate)


def _read(file: Path) -> Scenario:
    try:
        toml = importlib.import_module("tomllib")
    except ImportError:
        raise PresenceError("simulate needs Python 3.11 or later") from None
    with file.open("rb") as stream:
        return read_scenario(toml.load(stream))


def _simulate(options: argparse.Namespace, output: Output) -> None:
    scenario, token = _read(options.scenario), options.token_file.read_text(encoding="utf-8").strip()
    proofs: List[ProofServer] = []
    try:
        applications = _register(scenario, Person(options.service, "developer@example.org", token), proofs, output)
        people = {device.email: Person(options.service, device.email, token) for device in scenario.devices}
        _grant(scenario, people, applications)
        asyncio.run(_play(scenario, people, options.service, output))
    finally:
        for proof in proofs:
            proof.close()


def _register(scenario: Scenario, owner: Person, proofs: List[ProofServer], output: Output) -> Dict[str, Application]:
    applications = {}
    for name in scenario.applications:
        proof = ProofServer()
        proofs.append(proof)
        made = applications[name] = register(owner, name, proof)
        text = f"{name}: DPRESENCE_KEY={made.key} dpresence-client --service {made.url} watch {made.appid}"
        output.result({"application": name, "appid": made.appid, "key": made.key}, text)
    return applications


def _grant(scenario: Scenario, people: Dict[str, Person], applications: Dict[str, Application]) -> None:
    wanted = {(device.email, name) for device in scenario.devices for name in device.grants}
    for email, name in sorted(wanted):
        people[email].grant(applications[name])


async def _play(scenario: Scenario, people: Dict[str, Person], url: str, output: Output) -> None:
    began = time.monotonic()
    tasks = [asyncio.ensure_future(_play_device(device, people[device.email], url, began, output)) for device in scenario.devices]
    await asyncio.wait(tasks, timeout=scenario.seconds)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


async def _play_device(device: SimulatedDevice, person: Person, url: str, began: float, output: Output) -> None:
    """Follow the steps of one device; its connection ends with the task."""
    client = None
    try:
        for seconds, action in device.steps:
            await asyncio.sleep(seconds)
            if action == CUT:
                await _close(client)
                client = None
            elif client is None:
                client = aio.Device(url, device.email, person.credentials, device=device.name, status=action)
                await client.start()
            else:
                client.status = action
            at = time.monotonic() - began
            output.result(
                {"at": round(at, 3), "email": device.email, "device": device.name, "action": action},
                f"{at:8.1f}  {device.email}  {device.name}  {action}",
            )
        await asyncio.Event().wait()  # the last status stays until the end
    finally:
        await _close(client)


async def _close(client: aio.Device | None) -> None:
    if client is not None:
        with suppress(PresenceError):
            await client.close()
