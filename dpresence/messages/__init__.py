"""Every JSON message that the service receives and sends: frames of the channels and bodies of REST (docs/protocol.md, sections 3 to 8).

Each module has the messages of one subject, in both directions. ``parsing`` reads incoming messages, ``encoding`` writes outgoing ones.
``INCOMING`` and ``OUTGOING`` list all of them, for generators of schemas.
"""

from __future__ import annotations

from typing import Any

from ..model import Hours
from .accounts import AccountBody, AccountDocument, DeviceBody, DeviceList, SessionBody, StoredGrant, StoredNotification, TicketBody
from .applications import (
    ActivatedApplication,
    ApplicationBody,
    ApplicationChange,
    ApplicationDetails,
    ApplicationPage,
    CurrentUsers,
    KeyBody,
    NewApplication,
    NewKey,
)
from .appservice import (
    Authenticate,
    AuthReply,
    NewNotification,
    NewNotifications,
    NotificationResult,
    Notify,
    NotifyAnswer,
    NotifyReply,
    Ping,
    PresenceEntry,
    PresencePage,
    Snapshot,
    StreamEnd,
    UpdateEntry,
    Updates,
)
from .base import Empty, Frame
from .development import DevelopmentAssertion, MintedAssertion
from .device import (
    Acknowledge,
    DeviceHeartbeat,
    DeviceHeartbeatReply,
    Notifications,
    OkReply,
    PlainNotifications,
    StatusUpdate,
    acknowledged_notifications,
    notifications_frame,
)
from .encoding import encode
from .fields import MAX_CURSOR, MAX_ENTRIES, MAX_NOTIFICATIONS, MAX_WAIT_SECONDS, or_unset
from .grants import GrantBody, GrantChange, GrantPage, GrantQuestion, GrantRequest, LinkBody, ListedGrant, LooksBody, NewGrant
from .inboxes import Cleared, InboxNotification, InboxPage, MarkRead, ReadNotifications, Unread
from .known_devices import DeviceChange, KnownDeviceBody, checked_label
from .operator_metrics import BackendHealth, CloseCount, ErrorCount, Event, Figures, Minute, ProcessBody
from .ops import Alive, Heartbeat, Version
from .outcomes import FollowedNotification, OutcomeEntry, OutcomeFrame, ReportOutcome, position_of
from .overrides import OverrideUpdate, StatusBody, StatusChange
from .pairing import (
    BeginPairing,
    NewCredential,
    PairedDeviceBody,
    PairingAnswer,
    PairingAnswered,
    PairingQuestion,
    RedeemPairing,
    StartedPairing,
)
from .parsing import action_of, has_field, id_of, parse, try_parser
from .push_subscriptions import NewPushSubscription, PushState, PushSubscriptionBody
from .quiet_hours import HoursBody
from .refusals import KoReply, Refusal
from .session import JwkSet, LoggedIn, LoggedOut, Login, Logout, NewTicket
from .webhooks import (
    AttemptBody,
    NoData,
    OutcomesMessage,
    OwnedWebhook,
    SnapshotMessage,
    UpdatesMessage,
    WebhookBody,
    WebhookChange,
    WebhookDetails,
    WebhookReplay,
    WebhookTestMessage,
    WebhookWithSecret,
)

INCOMING: tuple[Any, ...] = (
    *(StatusUpdate, OverrideUpdate, Acknowledge, MarkRead, ReportOutcome),  # frames of devices
    *(Authenticate, Notify, Ping),  # frames of app services
    *(Login, Logout, NewApplication, ApplicationChange, NewNotifications, GrantChange, DevelopmentAssertion, Empty),  # bodies
    *(BeginPairing, RedeemPairing, PairingAnswer, StatusChange, Hours, GrantRequest, ReadNotifications, DeviceChange, NewPushSubscription),
    *(DeviceHeartbeat, WebhookChange, WebhookReplay),
)
"""Every frame and body that the service receives."""

OUTGOING: tuple[Any, ...] = (
    *(OkReply, KoReply, PlainNotifications, Notifications, Unread, Cleared),  # frames to devices
    *(AuthReply, NotifyReply, Snapshot, Updates, OutcomeFrame, StreamEnd),  # frames to app services, besides OkReply and KoReply
    *(DeviceHeartbeatReply, Refusal, LoggedIn, LoggedOut, NewTicket, MintedAssertion, JwkSet),  # bodies
    *(ApplicationBody, ActivatedApplication, ApplicationDetails, ApplicationPage, NewKey, CurrentUsers),
    *(NotifyAnswer, FollowedNotification, PresencePage, GrantQuestion, NewGrant, GrantBody, GrantPage, DeviceList, AccountDocument),
    *(StartedPairing, NewCredential, PairingQuestion, PairingAnswered, StatusBody, HoursBody, InboxPage, KnownDeviceBody),
    *(PushState, PushSubscriptionBody),
    *(WebhookBody, WebhookWithSecret, WebhookDetails, AttemptBody),
    *(UpdatesMessage, SnapshotMessage, OutcomesMessage, WebhookTestMessage),  # messages to webhooks
    *(Heartbeat, Alive, Version, Figures),
)
"""Every frame and body that the service sends."""

__all__ = [
    "INCOMING",
    "MAX_CURSOR",
    "MAX_ENTRIES",
    "MAX_NOTIFICATIONS",
    "MAX_WAIT_SECONDS",
    "OUTGOING",
    "AccountBody",
    "AccountDocument",
    "Acknowledge",
    "ActivatedApplication",
    "Alive",
    "ApplicationBody",
    "ApplicationChange",
    "ApplicationDetails",
    "ApplicationPage",
    "AttemptBody",
    "AuthReply",
    "Authenticate",
    "BackendHealth",
    "BeginPairing",
    "Cleared",
    "CloseCount",
    "CurrentUsers",
    "DevelopmentAssertion",
    "DeviceBody",
    "DeviceChange",
    "DeviceHeartbeat",
    "DeviceHeartbeatReply",
    "DeviceList",
    "Empty",
    "ErrorCount",
    "Event",
    "Figures",
    "FollowedNotification",
    "Frame",
    "GrantBody",
    "GrantChange",
    "GrantPage",
    "GrantQuestion",
    "GrantRequest",
    "Heartbeat",
    "Hours",
    "HoursBody",
    "InboxNotification",
    "InboxPage",
    "JwkSet",
    "KeyBody",
    "KnownDeviceBody",
    "KoReply",
    "LinkBody",
    "ListedGrant",
    "LoggedIn",
    "LoggedOut",
    "Login",
    "Logout",
    "LooksBody",
    "MarkRead",
    "MintedAssertion",
    "Minute",
    "NewApplication",
    "NewCredential",
    "NewGrant",
    "NewKey",
    "NewNotification",
    "NewNotifications",
    "NewPushSubscription",
    "NewTicket",
    "NoData",
    "NotificationResult",
    "Notifications",
    "Notify",
    "NotifyAnswer",
    "NotifyReply",
    "OkReply",
    "OutcomeEntry",
    "OutcomeFrame",
    "OutcomesMessage",
    "OverrideUpdate",
    "OwnedWebhook",
    "PairedDeviceBody",
    "PairingAnswer",
    "PairingAnswered",
    "PairingQuestion",
    "Ping",
    "PlainNotifications",
    "PresenceEntry",
    "PresencePage",
    "ProcessBody",
    "PushState",
    "PushSubscriptionBody",
    "ReadNotifications",
    "RedeemPairing",
    "Refusal",
    "ReportOutcome",
    "SessionBody",
    "Snapshot",
    "SnapshotMessage",
    "StartedPairing",
    "StatusBody",
    "StatusChange",
    "StatusUpdate",
    "StoredGrant",
    "StoredNotification",
    "StreamEnd",
    "TicketBody",
    "Unread",
    "UpdateEntry",
    "Updates",
    "UpdatesMessage",
    "Version",
    "WebhookBody",
    "WebhookChange",
    "WebhookDetails",
    "WebhookReplay",
    "WebhookTestMessage",
    "WebhookWithSecret",
    "acknowledged_notifications",
    "action_of",
    "checked_label",
    "encode",
    "has_field",
    "id_of",
    "notifications_frame",
    "or_unset",
    "parse",
    "position_of",
    "try_parser",
]
