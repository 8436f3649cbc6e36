"""Notifications are divided into frames that the service accepts."""

from __future__ import annotations

import json

import pytest

from dpresence_client.errors import InvalidField
from dpresence_client.requests import pages
from dpresence_client.values import Outgoing


def test_fields_left_out_are_not_sent() -> None:
    assert list(pages([Outgoing("p1"), Outgoing("p2", "m", "a", "s", 0)])) == [
        [{"puid": "p1"}, {"puid": "p2", "message": "m", "action": "a", "source": "s", "ttl": 0}]
    ]
    assert list(pages([])) == []


def test_a_frame_has_at_most_100_notifications_and_fits() -> None:
    short = [Outgoing(f"p{number}") for number in range(250)]
    assert [len(page) for page in pages(short)] == [100, 100, 50]
    long = [Outgoing(f"p{number}", "\N{GRINNING FACE}" * 512) for number in range(60)]
    divided = list(pages(long))
    assert [entry["puid"] for page in divided for entry in page] == [one.puid for one in long]
    assert len(divided) > 1 and all(len(json.dumps(page)) < 128 * 1024 - 100 for page in divided)


@pytest.mark.parametrize(
    "wrong", [Outgoing("p", "x" * 130_000), Outgoing("p", "\ud800"), Outgoing("p", ttl=float("nan")), Outgoing(object())]
)
def test_a_notification_too_large_for_a_frame_is_named(wrong) -> None:
    with pytest.raises(InvalidField, match=r"notifications\[1\]") as refused:
        pages([Outgoing("p"), wrong])
    assert refused.value.field == "notifications[1]"
