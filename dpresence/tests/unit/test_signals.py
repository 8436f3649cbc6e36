"""Signals are carried as a topic and one text."""

from __future__ import annotations

from typing import get_args

import pytest

from dpresence.backends.tracker import Topic
from dpresence.service.signals import Signal

SIGNALS = [
    (Signal("account", "jane", revision=7), "jane 7"),
    (Signal("ticket", "jane", family="f1"), "jane f1"),
    (Signal("device", "jane", device="~a", revision=7), "jane ~a 7"),
    (Signal("replaced", "jane", device="phone", connection="c1"), "jane phone c1"),
    (Signal("logout", "key", revision=1795917491460), "key 1795917491460"),
    *(
        (Signal(topic, "chess"), "chess")
        for topic in ("feed", "mail", "inbox", "grants", "application", "changes", "damaged", "forgotten", "outcomes")
    ),
    (Signal("missed", ""), ""),
    (Signal("moved", ""), ""),
]


@pytest.mark.parametrize(("signal", "text"), SIGNALS, ids=lambda it: it.topic if isinstance(it, Signal) else "")
def test_a_signal_is_read_from_its_text(signal: Signal, text: str) -> None:
    assert (signal.key, Signal.parse(signal.topic, text)) == (text, signal)


def test_every_topic_is_tried() -> None:
    assert {signal.topic for signal, _ in SIGNALS} == set(get_args(Topic))


def test_a_text_with_too_few_values_is_refused() -> None:
    with pytest.raises(ValueError):
        Signal.parse("device", "jane ~a")
