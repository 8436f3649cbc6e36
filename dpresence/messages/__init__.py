"""Every JSON message that the service receives and sends: frames of the channels and bodies of REST (docs/protocol.md, sections 3 to 8).

Each module has the messages of one subject. ``parsing`` reads incoming messages, ``encoding`` writes outgoing ones.
"""

from __future__ import annotations

from .applications import ApplicationChange, NewApplication
from .appservice import Authenticate, Notify, OutgoingNotification, OutgoingNotifications
from .base import Empty, Frame
from .development import DevelopmentAssertion
from .device import Acknowledge, StatusUpdate
from .encoding import device, encode, grant, ko, notifications, ok, snapshot, updates
from .fields import MOST_ENTRIES, MOST_ITEMS
from .grants import GrantChange
from .parsing import action_of, id_of, parse, try_parse
from .session import Login, Logout

__all__ = [
    "MOST_ENTRIES",
    "MOST_ITEMS",
    "Acknowledge",
    "ApplicationChange",
    "Authenticate",
    "DevelopmentAssertion",
    "Empty",
    "Frame",
    "GrantChange",
    "Login",
    "Logout",
    "NewApplication",
    "Notify",
    "OutgoingNotification",
    "OutgoingNotifications",
    "StatusUpdate",
    "action_of",
    "device",
    "encode",
    "grant",
    "id_of",
    "ko",
    "notifications",
    "ok",
    "parse",
    "snapshot",
    "try_parse",
    "updates",
]
