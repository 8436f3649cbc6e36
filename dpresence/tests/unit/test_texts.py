"""Texts that people read and others wrote: refused where they hide or turn something, allowed as people write (section 6)."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress

import pytest

from dpresence import web_addresses
from dpresence.texts import check_prose, description, name

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
MARK = "\u0301"

HONEST = [
    "Chess club", "<b>&", "...", "St.Gallen", "Tom & Co.KG", "Node.js", "Web 2.0", "\u00c4pfel & \u00d6l", "\u5c07\u68cb", "e\u0302\u0323",
    f"{ENGLAND} England", "\U0001fae8 of 2022", "\U0001faea of 2025", "\u2764\ufe0f Hearts", "5\ufe0f\u20e3 a side", "\u263a\ufe0e",
    "\U0001f1e8\U0001f1ed Jass", "\U0001f469\U0001f3fd\u200d\U0001f4bb", "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f6b6\u200d\u27a1\ufe0f",
    "\u05e9\u05dc\u05d5\u05dd!\u200f", "\u05d7\u05d1\u05e8\u05d4 (C++)\u200f", "\u200e\u0634\u0637\u0631\u0646\u062c 3-2\u200e",
    "\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0915\u094d\u200d\u0937", "\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u845b\U000e0100\u57ce",
    "\u182e\u180b\u1823\u180e\u1820", "\u0647\u200d \u0639\u0645\u0631",
    "\u042fndex", "\u03bbProlog", "TNF\u03b1", "IFN\u03b3", "\u00b5Torrent", "\u0394T", "\u30c6\u30b9\u30c8ABC", "\uff42\uff41\uff4e\uff4b",
    "\u0623\u0650\u0651\u0647\u0652\u0644\u0627", "\u05d1\u05bc\u05b0\u05e8",
]  # fmt: skip


@pytest.mark.parametrize("text", HONEST)
def test_a_name_may_be_what_people_write(text: str) -> None:
    assert name(text) == unicodedata.normalize("NFC", text)


BLANK = [
    "",
    " ",
    "\u00a0\u3000",
    "\u2800",
    "\U00013441",
    "\u3164",
    "\uffa0",
    "\u115f",
    "\u200d",
    "\u200c\u200c",
    "\ufe0f",
    "\U0001d159",
    "\u17b4",
    "\u180e",
]


@pytest.mark.parametrize("text", [*BLANK, MARK, "\u200b", "\ufeff", "\u034f", "\u00ad", "\u2060", "\u2028", "\ufffc"])
def test_a_name_that_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(without|with|one) "):
        name(text)


UNSEEN = [
    "\0", "\n", "\t", "\x7f", "\x85", "\u034f", "\u061c", "\u115f", "\u17b5", "\u180b", "\u180e", "\u200c", "\u200d",
    "\u200e", "\u200f", "\u2028", "\u202a", "\u202e", "\u2060", "\u2064", "\u2066", "\u2069", "\u206a", "\u2800", "\u3164", "\ud800",
    "\ue000", "\ufe00", "\ufe0e", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\ufffe", "\U0001d159", "\U000e0001", "\U000e0067", "\U000e007f",
    "\U000e0100", "\U000f0000",
]  # fmt: skip


@pytest.mark.parametrize("place", ["a{}b", "{}ab", "ab{}", "\u5c07{}{}", "\U0001f44d{}{}"])
@pytest.mark.parametrize("char", UNSEEN)
def test_a_character_that_is_not_seen_or_turns_others_is_refused_in_a_name(place: str, char: str) -> None:
    with pytest.raises(ValueError, match=rf"U\+{ord(char):04X}|in a row|after a letter|surrogates"):
        name(place.format(char, char))


@pytest.mark.parametrize(
    "text",
    [
        f"{ENGLAND[0]}{ENGLAND[-1]}", ENGLAND[:-1], f"x{ENGLAND[1:]}", ENGLAND[:-1] + "\U000e0061" * 9 + "\U000e007f",
        "\U0001f468\u200d", "\u200d\U0001f468", "\U0001f468\u200d\u200d\U0001f469", "\U0001f468\u200da", "\u2764\ufe0f\ufe0f",
        "\u0645\u200c\u200c\u0634", "bank.\u200dexample", "bank\u200c", "\u845b\U000e0100\U000e0101",
    ],
)  # fmt: skip
def test_a_sequence_that_only_begins_like_an_emoji_or_a_ligature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="which cannot be seen or is not text"):
        name(text)


STACKED = [
    f"a{MARK * 6}", "x" + "\u0336" * 5, "a\u0483\u0484\u0485\u0486\u0487", "\u0915" + "\u094d" * 5,
    "a" + "".join(map(chr, range(0x300, 0x30F))),
]  # fmt: skip


@pytest.mark.parametrize("check", [name, description, check_prose])
@pytest.mark.parametrize("text", STACKED)
def test_marks_that_overprint_the_line_above_are_refused(text: str, check: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match=r"^with up to 4 combining marks in a row$"):
        check(text)


@pytest.mark.parametrize("char", ["\u200b", "\u200d", "\u00ad", "\u2060", "\u200e", "\ufeff", "\u034f", "\ufe0f"])
def test_a_mark_that_overprints_the_line_above_is_refused_with_invisible_characters_between(char: str) -> None:
    with pytest.raises(ValueError, match=r"^with up to 4 combining marks in a row$"):
        check_prose("a" + f"{MARK}{MARK}{char}" * 3)


@pytest.mark.parametrize("text", [f"{MARK}a", "paypal \u0323com", "paypal\u00a0\u0323com", "paypal-\u0323com", "paypal,\u0358com"])
def test_a_mark_without_a_letter_which_reads_as_a_dot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^with each combining mark after a letter$"):
        name(text)


MANY_MARKS = [
    "\u0e1a\u0e49\u0e32\u0e19\u0e17\u0e35\u0e48\u0e19\u0e49\u0e33",
    unicodedata.normalize("NFD", "Tr\u01b0\u1eddng \u0110\u1ea1i h\u1ecdc Ti\u1ebfng Vi\u1ec7t"),
    "\u05d1\u05bc\u05b0\u05e8\u05b5\u05d0\u05e9\u05c1\u05b4\u0596\u05d9\u05ea",
    "\u05e9\u05c1\u05bc\u05b8\u0591",
    "\u0f56\u0f66\u0f92\u0fb2\u0f74\u0f56\u0f66\u0f0b\u0f67\u0f71\u0f74\u0f82",
    "\u0671\u0644\u0644\u0651\u064e\u0647\u0650 \u0631\u0651\u064e\u062d\u0652\u0645\u064e\u0670\u0646",
    "t\u0361\u0283\u02b0 \u0254\u0303\u0301\u0325 \u014b\u030a\u0329",
    "\u1780\u17d2\u1798\u17d2\u179a",
    "\u1014\u1039\u1010\u103c\u1031\u1037",
    "\U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f469\U0001f3fb",
    "#\ufe0f\u20e3 *\ufe0f\u20e3 1\ufe0f\u20e3",
    "\u0915\u094d\u200d\u0937\u094d\u200d\u092e\u0902\u0901",
    "\u0995\u09cd\u09b7\u09cd\u09ae\u09be\u0981",
    "\u0d15\u0d4d\u200d\u0d30",
]


@pytest.mark.parametrize("text", MANY_MARKS)
def test_languages_with_many_marks_are_written_as_they_are(text: str) -> None:
    assert name(text) == unicodedata.normalize("NFC", text)
    check_prose(text)
    check_prose(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize(
    "text",
    ["b\u0430nk", "My B\u0430nk", "\u03b1pple", "P\u0430y\u0440\u0430l", "c\u043em", "\u0391mazon", "PAYPA\u0399", "Vis\u03b1", "g\u13a0t"],
)
def test_a_word_of_two_scripts_that_passes_for_latin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^with each word in one script, unlike "):
        name(text)


def test_a_name_is_kept_composed_and_with_plain_single_spaces() -> None:
    assert name(" Cafe\u0301\u00a0 \u3000\u2009de  Paris ") == "Caf\u00e9 de Paris"
    assert name("a  b ") == "a b"
    assert name("Schach\u00advere\u200bin") == "Schachverein"


@pytest.mark.parametrize("text", ["\u200b", "\u00ad \u200b", "b\u00ad\u0430nk"])
def test_what_is_left_of_a_name_without_places_for_line_breaks_is_checked(text: str) -> None:
    with pytest.raises(ValueError, match=r"one of them visible|in one script"):
        name(text)


# -- prose


@pytest.mark.parametrize(
    "text", [*HONEST, "", "a\nb\r\nc\td", "\u2068Ann\u2069: \u2067\u05d0\u2068x\u2069\u2069", "\u202b\u05d0\u202c", "a\u200b\u00ad\ufeff"]
)
def test_a_message_may_hold_what_people_paste_and_isolates_that_end(text: str) -> None:
    check_prose(text)


TURNING = ["\u2068a", "\u2066\u2067a\u2069", "a\u2069", "a\u202c", "\u202ba\u2069", "\u2068a\nb\u2069", "\u2068\u202ba\u2069\u202c"]


@pytest.mark.parametrize("text", TURNING)
def test_a_change_of_direction_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^with each change of direction ended in the same line$"):
        check_prose(text)


@pytest.mark.parametrize("char", ["\0", "\x08", "\x1b", "\x7f", "\x9b", "\u202d", "\u202e", "\ud800", "\U000e0041", "\U000e007f"])
def test_controls_overrides_and_hidden_tags_are_refused_in_prose(char: str) -> None:
    with pytest.raises(ValueError, match=rf"^without U\+{ord(char):04X}, which cannot be seen or is not text$"):
        check_prose(f"a{char}b")


def test_a_description_keeps_its_lines() -> None:
    assert description(" Chess,\r\nfor  friends. \r\rCome \n") == "Chess,\nfor  friends.\n\nCome"


@pytest.mark.parametrize("check", [description, check_prose])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\n \n", "\u2028", "\u2029"])
def test_lines_that_put_a_false_message_far_below_its_domain_are_refused(check: Callable[[str], object], line_break: str) -> None:
    check(f"Chess{line_break}{line_break}Your move")
    with pytest.raises(ValueError, match=r"^in up to 10 lines$"):
        check(f"Chess{line_break * 10}bank.example")


@pytest.mark.parametrize(
    "text", ["\u0915" + "\u094d" * 510, "\U0001f468\u200d" * 256, "\u0301" * 512, "\u0627\u0301\u0301\u0301\u0301" * 100]
)
def test_the_worst_text_costs_little(text: str) -> None:
    web_addresses.load()
    start = time.process_time()
    for check in (name, check_prose):
        with suppress(ValueError):
            check(text)
    assert time.process_time() - start < 0.05
