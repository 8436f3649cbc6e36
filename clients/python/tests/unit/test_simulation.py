"""Scenarios: what simulated devices do, and which files are refused."""

from __future__ import annotations

from itertools import islice

import pytest

from dpresence_client.testing.simulation import BEHAVIOURS, CUT, Step, read_scenario


def steps(scenario, count=20):
    return [list(islice(device.steps, count)) for device in scenario.devices]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_same_seed_gives_the_same_run_and_another_seed_another(behaviour):
    people = [{"count": 3, "behaviour": behaviour}]
    one, same, other = (steps(read_scenario({"seed": seed, "people": people})) for seed in (1, 1, 2))
    assert one == same != other
    assert one[0] != one[1], "each person is different"


def test_a_commuter_is_away_between_places():
    [found] = steps(read_scenario({"people": [{"behaviour": "commuter"}]}), 9)
    assert [step.action for step in found] == ["online", *[CUT, "unavailable", CUT, "online"] * 2]


def test_a_script_is_followed():
    scenario = read_scenario({"people": [{"email": "ada@example.org", "script": [[0, "online"], [10, "cut"], [12.5, "online"]]}]})
    assert steps(scenario) == [[Step(0, "online"), Step(10, "cut"), Step(2.5, "online")]]
    assert (scenario.seconds, scenario.applications, scenario.devices[0].grants) == (60, ["Chess club"], ["Chess club"])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "people: at least one"),
        ({"peple": []}, "the scenario: peple is not known here"),
        ({"seconds": 0, "people": [{}]}, "seconds: a number of up to 86400"),
        ({"seconds": "60", "people": [{}]}, "seconds: a number"),
        ({"people": 7}, "people: a list"),
        ({"people": [7]}, r"people\[0\]: a table"),
        ({"people": [{"count": "2"}]}, r"people\[0\].count: a whole number"),
        ({"people": [{"script": 7}]}, r"people\[0\].script: pairs"),
        ({"people": [{"behaviour": "bored"}]}, r"people\[0\].behaviour: one of steady, commuter"),
        ({"people": [{"grants": ["Go"]}]}, r"people\[0\].grants: Go is none of the applications"),
        ({"people": [{"script": [[0, "busy"]]}]}, r"people\[0\].script: pairs of a time and one of"),
        ({"people": [{"script": [[5, "online"], [1, "offline"]]}]}, r"people\[0\].script: .*in order of time"),
    ],
)
def test_a_wrong_value_is_named(values, text):
    with pytest.raises(ValueError, match=text):
        read_scenario(values)
