"""Simulated people: what each of their devices does, and when. The README of this package describes the file of a scenario."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Sequence

from ..values import STATUSES

CUT = "cut"
"""The connection is lost, and the device is away until its next status."""
ACTIONS = (*STATUSES, CUT)
MAX_SECONDS = 86400


class Step(NamedTuple):
    """One step of a simulated device.

    :ivar seconds: wait before it, since the previous step.
    :ivar action: a status, or ``CUT``.
    """

    seconds: float
    action: str


class SimulatedDevice(NamedTuple):
    """One device of one person.

    :ivar grants: names of the applications that see the person.
    """

    email: str
    name: str
    grants: Sequence[str]
    steps: Iterator[Step]


class Scenario(NamedTuple):
    """A scenario.

    :ivar seconds: how long it takes.
    :ivar applications: their names.
    """

    seconds: float
    applications: Sequence[str]
    devices: Sequence[SimulatedDevice]


def steady(chance: random.Random) -> Iterator[Step]:
    """Yield the steps of a device that is connected all the time and changes its status now and then."""
    yield Step(chance.uniform(0, 2), "online")
    while True:
        yield Step(chance.uniform(5, 30), "unavailable")
        yield Step(chance.uniform(2, 10), "online")


def commuter(chance: random.Random) -> Iterator[Step]:
    """Yield the steps of a phone that is online at home, away on the way, and unavailable at work. A day takes a minute."""
    yield Step(chance.uniform(0, 5), "online")
    while True:
        for place, seconds in (("unavailable", 25), ("online", 25)):
            yield Step(seconds * chance.uniform(0.7, 1.3), CUT)
            yield Step(5 * chance.uniform(0.7, 1.3), place)


def flapping(chance: random.Random) -> Iterator[Step]:
    """Yield the steps of a device with a bad wireless network, which loses its connection every few seconds."""
    yield Step(chance.uniform(0, 2), "online")
    while True:
        yield Step(chance.uniform(2, 10), CUT)
        yield Step(chance.uniform(0, 3), "online")


def laptop(chance: random.Random) -> Iterator[Step]:
    """Yield the steps of a laptop that sleeps for longer than the grace of the service."""
    yield Step(chance.uniform(0, 5), "online")
    while True:
        yield Step(chance.uniform(15, 45), CUT)
        yield Step(chance.uniform(20, 60), "online")


BEHAVIOURS: Mapping[str, Callable[[random.Random], Iterator[Step]]] = {
    "steady": steady,
    "commuter": commuter,
    "flapping": flapping,
    "laptop": laptop,
}


def read_scenario(values: Mapping[str, Any]) -> Scenario:
    """Return a scenario.

    :param values: the content of its file.
    :raises ValueError: a value is wrong; the text names it.
    """
    _check_keys(values, ("seconds", "seed", "applications", "people"), "the scenario")
    seconds, seed = _value(values, "seconds", (int, float), 60, ""), _value(values, "seed", int, 0, "")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: a number of up to {MAX_SECONDS}")
    applications = [str(name) for name in _value(values, "applications", list, ["Chess club"], "")]
    devices: List[SimulatedDevice] = []
    for number, group in enumerate(_value(values, "people", list, [], "")):
        devices += _group(group, number, applications, random.Random(f"{seed} {number}"))  # noqa: S311 - not for secrets
    if not devices:
        raise ValueError("people: at least one")
    return Scenario(float(seconds), applications, devices)


def _group(group: Any, number: int, applications: Sequence[str], chance: random.Random) -> Iterator[SimulatedDevice]:
    where = f"people[{number}]"
    _check_keys(group, ("email", "count", "device", "behaviour", "script", "grants"), where)
    grants = [str(name) for name in _value(group, "grants", list, applications, where)]
    unknown = sorted(set(grants) - set(applications))
    if unknown:
        raise ValueError(f"{where}.grants: {unknown[0]} is none of the applications")
    name = _value(group, "device", str, "desk", where)
    for person in range(_value(group, "count", int, 1, where)):
        email = _value(group, "email", str, f"person-{number}-{person}@example.org", where)
        own = random.Random(chance.random())  # noqa: S311
        yield SimulatedDevice(email, name, grants, _script(group["script"], where) if "script" in group else _behaviour(group, where)(own))


def _behaviour(group: Mapping[str, Any], where: str) -> Callable[[random.Random], Iterator[Step]]:
    name = group.get("behaviour", "steady")
    if name not in BEHAVIOURS:
        raise ValueError(f"{where}.behaviour: one of {', '.join(BEHAVIOURS)}")
    return BEHAVIOURS[name]


def _script(script: Any, where: str) -> Iterator[Step]:
    """Return the steps of a script of pairs: a time since the start, and an action."""
    steps: List[Step] = []
    before = 0.0
    try:
        for at, action in script:
            if action not in ACTIONS or at < before:
                raise ValueError
            steps.append(Step(at - before, action))
            before = at
    except (TypeError, ValueError):
        raise ValueError(f"{where}.script: pairs of a time and one of {', '.join(ACTIONS)}, in order of time") from None
    return iter(steps)


def _value(values: Mapping[str, Any], key: str, kind: Any, default: Any, where: str) -> Any:
    """Return a value of the right type."""
    value = values.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = {list: "a list", str: "a text", int: "a whole number"}.get(kind, "a number")
        raise ValueError(f"{where}.{key}: {expected}".lstrip("."))
    return value


def _check_keys(values: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: a table")
    wrong = [key for key in values if key not in known]
    if wrong:
        raise ValueError(f"{where}: {wrong[0]} is not known here; {', '.join(known)}")
