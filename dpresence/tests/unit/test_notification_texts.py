"""Texts of notifications are checked in slices, so that no request delays others (docs/protocol.md, section 6, Names and prose)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import msgspec
import pytest

from dpresence import confusables, suffixes, texts, web_addresses
from dpresence.errors import WrongValue
from dpresence.messages import NewNotification, Notify
from dpresence.messages.parsing import parse
from dpresence.model import Application
from dpresence.service import notification_control
from dpresence.service.notification_control import TextChecks

GOAL_SECONDS = 0.005
"""Maximum time for which one request may stop the event loop. The tests allow five times as much, for slow machines."""
MAX_FRAME = 131_072
CHESS = Application("app", "ann", "Chess", "chess.example.org", "", "key", 0)
LETTERS = [char for char in map(chr, range(0xC0, 0x30000)) if char.isalpha()]
ALIKE = [char for char in LETTERS if confusables.ascii_lookalike(char).isascii()]


def letters_of_many_scripts(rnd: random.Random) -> str:
    return "a" + "".join(rnd.choices(LETTERS, k=252))


def look_alikes_and_one_other_letter(rnd: random.Random) -> str:
    return "a" + "".join(rnd.choices(ALIKE, k=252)) + "\u0436"


def labels_of_many_scripts(rnd: random.Random) -> str:
    return ".".join("".join(rnd.choices(LETTERS, k=3)) for _ in range(63))


def short_words_of_two_scripts(rnd: random.Random) -> str:
    return " ".join("a" + rnd.choice("\u0436\u0449\u044e\u044f") + "\u00e9" for _ in range(60))


def forget() -> None:
    """Clear the caches of the checks, so that no character and no label was seen before."""
    for module in (confusables, suffixes, web_addresses):
        for function in vars(module).values():
            if hasattr(function, "cache_clear") and function.__name__ not in ("_similar", "_list"):
                function.cache_clear()


def is_allowed(source: str) -> bool:
    try:
        return not web_addresses.refusal(texts.name(source), CHESS.domain)
    except ValueError:
        return False


def frame(source: Callable[[random.Random], str]) -> bytes:
    """Return the longest frame of notifications with such sources, all of them names."""
    rnd, items = random.Random(1), []
    while len(items) < 100:
        item = {"puid": f"p{len(items)}", "source": source(rnd), "message": "\u00e9" * 100}
        if not is_allowed(item["source"]):
            continue
        if len(msgspec.json.encode([*items, item])) > MAX_FRAME - 100:
            break
        items.append(item)
    return msgspec.json.encode({"action": "notify", "notifications": items})


@pytest.mark.slow
def test_the_texts_of_a_frame_cost_nothing_while_it_is_decoded() -> None:
    for source in (letters_of_many_scripts, look_alikes_and_one_other_letter):
        data = frame(source)
        forget()
        start = time.process_time()
        parse(Notify, data)
        assert time.process_time() - start < 5 * GOAL_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [letters_of_many_scripts, look_alikes_and_one_other_letter, labels_of_many_scripts, short_words_of_two_scripts]
)
def test_a_hundred_sources_of_letters_of_many_scripts_stop_the_event_loop_for_milliseconds_only(
    source: Callable[[random.Random], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = parse(Notify, frame(source)).notifications
    web_addresses.load()
    forget()
    slices, start = [], time.process_time()

    def yield_to_loop() -> None:
        nonlocal start
        slices.append(time.process_time() - start)
        start = time.process_time()

    monkeypatch.setattr(notification_control, "yield_to_loop", yield_to_loop)
    TextChecks().check(CHESS, items)
    yield_to_loop()
    print(f"{source.__name__}: {len(items)} sources, {len(slices)} slices, the longest {max(slices) * 1000:.1f} ms")
    assert max(slices) < 5 * GOAL_SECONDS


@pytest.mark.parametrize(
    ("item", "error"),
    [
        (
            NewNotification("p", message="\u202e"),
            "notifications[1].message: text of up to 512 characters, without U+202E, which cannot be seen or is not text",
        ),
        (NewNotification("p", source=" "), "notifications[1].source: text of up to 254 characters, one of them visible"),
    ],
)
def test_a_text_that_is_not_allowed_is_named(item: NewNotification, error: str) -> None:
    with pytest.raises(WrongValue) as refused:
        TextChecks().check(CHESS, [NewNotification("p"), item])
    assert refused.value.error == error


def test_a_source_is_normalized_and_a_message_is_stored_unchanged() -> None:
    item = NewNotification("p", source=" Cafe\u0301  Paris ", message=" Cafe\u0301 ")
    TextChecks().check(CHESS, [item])
    assert (item.source, item.message) == ("Caf\u00e9 Paris", " Cafe\u0301 ")
