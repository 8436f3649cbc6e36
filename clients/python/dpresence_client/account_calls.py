"""The REST calls of a user's account (docs/protocol.md, section 6): each is a function of the ``Rest`` that makes it."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Type, TypeVar
from urllib.parse import quote

from .account_values import (
    UNCHANGED,
    AnyNotification,
    Grant,
    Hours,
    InboxNotification,
    Interval,
    Link,
    ListedGrant,
    Looks,
    QuietHours,
    UserInbox,
    UserStatus,
)
from .errors import ProtocolError
from .rest import Rest

T = TypeVar("T")


def status(rest: Rest) -> UserStatus:
    """Return the status of the person."""
    return _read(UserStatus, rest.call("GET", "/status"))


def set_override(rest: Rest, override: str, until: int | None) -> UserStatus:
    """Set the override."""
    return _read(UserStatus, rest.call("PUT", "/status", {"status": override, "until": until}))


def end_override(rest: Rest) -> None:
    """End the override."""
    rest.call("DELETE", "/status")


def hours(rest: Rest) -> QuietHours:
    """Return the quiet hours."""
    return _quiet_hours(rest.call("GET", "/hours"))


def set_hours(rest: Rest, new: Hours) -> QuietHours:
    """Set the quiet hours."""
    return _quiet_hours(rest.call("PUT", "/hours", _sent_hours(new)))


def remove_hours(rest: Rest) -> None:
    """Remove the quiet hours."""
    rest.call("DELETE", "/hours")


def grants(rest: Rest) -> List[ListedGrant]:
    """Return all grants."""
    return [_listed_grant(entry) for page in rest.pages("/grants") for entry in _list(page, "grants")]


def change_grant(rest: Rest, appid: str, **values: Any) -> Grant:
    """Change the values of a grant that are not ``UNCHANGED``."""
    changes = {name: _sent_hours(value) if isinstance(value, Hours) else value for name, value in values.items() if value is not UNCHANGED}
    answer = rest.call("PATCH", f"/grant/{quote(appid, safe='')}", changes)
    return _read(Grant, answer, hours=_hours(answer))


def notifications(rest: Rest) -> UserInbox:
    """Return the whole inbox."""
    pages = list(rest.pages("/notifications"))
    entries = [_read(InboxNotification, entry) for page in pages for entry in _list(page, "notifications")]
    return UserInbox(entries, _unread(pages[-1]))


def mark_read(rest: Rest, read: Sequence[AnyNotification], until: AnyNotification | None) -> int:
    """Mark notifications as read; return the number of unread ones."""
    body: Dict[str, Any] = {"notifications": [one.id for one in read]} if until is None or read else {}
    return _unread(rest.call("POST", "/notifications/read", body if until is None else {**body, "until": until.id}))


def delete_notification(rest: Rest, notification: AnyNotification) -> None:
    """Delete a notification from the inbox."""
    rest.call("DELETE", f"/notifications/{quote(notification.id, safe='')}")


def clear_notifications(rest: Rest) -> None:
    """Delete all notifications from the inbox."""
    rest.call("DELETE", "/notifications")


def _read(kind: Type[T], answer: Any, **known: Any) -> T:
    """Return a named tuple of an object with at least its fields.

    :param known: fields that were read already.
    :raises ProtocolError: the answer is no such object.
    """
    names = [name for name in kind.__annotations__ if name not in known]
    if not isinstance(answer, dict) or any(name not in answer for name in names):
        raise ProtocolError(f"an answer of the service is no {kind.__name__}")
    return kind(**{name: answer[name] for name in names}, **known)


def _list(answer: Any, name: str) -> List[Any]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ProtocolError(f"an answer of the service has no list of {name}")
    return found


def _unread(answer: Any) -> int:
    found = answer.get("unread") if isinstance(answer, dict) else None
    if not isinstance(found, int):
        raise ProtocolError("an answer of the service does not have the number of unread notifications")
    return found


def _listed_grant(answer: Any) -> ListedGrant:
    looks = [_read(Looks, entry) for entry in _list(answer, "looks")]
    why = [_read(Link, entry) for entry in _list(answer, "why")]
    return _read(ListedGrant, answer, hours=_hours(answer), looks=looks, why=why)


def _quiet_hours(answer: Any) -> QuietHours:
    return _read(QuietHours, answer, hours=_hours(answer))


def _hours(answer: Any) -> Hours | None:
    """Return the field ``hours`` of an answer."""
    found = answer.get("hours") if isinstance(answer, dict) else None
    if found is None:
        return None
    return _read(Hours, found, weekly=[_interval(entry) for entry in _list(found, "weekly")])


def _interval(entry: Any) -> Interval:
    if not isinstance(entry, dict) or "from" not in entry or "to" not in entry:
        raise ProtocolError("an answer of the service is no Interval")
    return Interval(_list(entry, "days"), entry["from"], entry["to"])


def _sent_hours(new: Hours) -> Dict[str, Any]:
    weekly = [{"days": list(days), "from": start, "to": end} for days, start, end in new.weekly]
    return {"zone": new.zone, "weekly": weekly}
