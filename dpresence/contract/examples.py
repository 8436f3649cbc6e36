"""Examples of bodies and frames, by the name of their struct. Values are those of docs/protocol.md."""

from __future__ import annotations

from typing import Any

_APPID, _PUID, _AT = "3fVZhsi7n1yBSfwv", "1ik2ExyySaaQ6Dpi501BWQ", 1795364497000
_ADA, _ASSERTION, _TICKET = "ada@example.org", "eyJhbGci..~eyJhbGci..", "ticket:b9r9rXxg.."
_FOLLOWED = "o_vq3nJm0cZp7RkYwB"
_KEY, _NOTIFICATION, _CURSOR = "dpk_3S_tPpx-3m8G_jH1u..", "n_PKnnB7ZKJhP7hZNp", "a09382be157d087b:5"
_CHESS: dict[str, Any] = {"name": "Chess club", "domain": "chess.example.org", "description": "Who is up for a game?"}
_APPLICATION: dict[str, Any] = {
    "appid": _APPID,
    **_CHESS,
    "domain_key": "Ib6zndP6o2FU9fvaJ_0b8Ur2FS22KgM9",
    "valid_domain": True,
    "proof": "https",
    "active": True,
    "created_at": _AT,
}
_REGISTERED: dict[str, Any] = {**_APPLICATION, "valid_domain": False, "proof": None, "active": False}
_PLAIN = {"source": "Chess club", "message": "Your move", "action": "https://chess.example.org/game/7"}
_ENTRY: dict[str, Any] = {
    **{"id": _NOTIFICATION, "appid": _APPID, "domain": "chess.example.org", "site": "example.org"},
    **{**_PLAIN, "sent": _AT, "read": False},
}
_DEVICE: dict[str, Any] = {"device": "laptop", "status": "online", "connected": True, "since": _AT}
_KNOWN: dict[str, Any] = {"device": "laptop", "label": "Chrome on Windows", "kind": "browser", "last_seen": "2026-11-22"}
_SUBSCRIPTION: dict[str, Any] = {
    **{"id": "q1Hc0x8TzJ2u7bJpY3mUeA", "endpoint": "https://push.example.org/wpush/v2/gAAAAABk", "label": "Chrome on Windows"},
    **{"created_at": _AT, "expires_at": _AT + 7_776_000_000},
}
_VAPID_KEY = "BDWG8mPO9gn9CX0w9EtIyUsnd8VwP0ZzGbqMOIyO2wYFJSvu7b5T9lvsPDZzcHDpgBpI7fZrFHDZDmUXkRfQ3qM"
_PAGE = "https://presence.example.org/pair"
_PAIRED: dict[str, Any] = {
    "device": "lamp",
    "client": "Example lamp",
    "paired_at": _AT,
    "last_used": _AT,
    "expires_at": _AT + 7_776_000_000,
}
_STATE: dict[str, Any] = {"paused": False, "quiet": False, "shows": "status", "until": None, "hours": None, "push": False}
_LOOKED: dict[str, Any] = {"last_looked": "2026-11-22", "looks": [{"day": "2026-11-22", "channel": 1, "rest": 3, "webhook": 0}]}
_WHY = [{"link": "devices", "status": "unavailable"}, {"link": "override", "status": "online"}]
_EVENING = {"days": ["sun", "mon", "tue", "wed", "thu"], "from": "22:00", "to": "07:00"}
_HOURS: dict[str, Any] = {"zone": "Europe/Berlin", "weekly": [_EVENING]}
_GRANT: dict[str, Any] = {"appid": _APPID, "puid": _PUID, "granted_at": _AT, **_STATE}
_PRESENT: dict[str, Any] = {"puid": _PUID, "status": "online", "at": _AT}
_NOTIFIED: dict[str, Any] = {
    "action": "notify",
    "notifications": [
        {"puid": _PUID, "id": "n_ekMbc_GcyDx-WDRz", "result": "OK", "queue_size": 1, "delivered": True},
        {"puid": "nobody", "result": "KO", "errno": 110, "error": "not found"},
    ],
}
_SLOW_DOWN: dict[str, Any] = {"result": "KO", "errno": 117, "error": "status: changes too quickly", "retry_after": 1}
_ACCOUNT: dict[str, Any] = {
    "account": {
        **{"email": _ADA, "issuer": "login.example.org", "subject": "248289761001", "created_at": _AT},
        **{"override": None, "override_until": None, "hours": None},
    },
    "sessions": [{"created_at": _AT, "expires_at": _AT + 43_200_000}],
    "paired": [_PAIRED],
    "tickets": [{"device": "laptop", "expires_at": _AT + 43_200_000}],
    "devices": [_DEVICE],
    "known_devices": [_KNOWN],
    "push_subscriptions": [_SUBSCRIPTION],
    "status": "online",
    "grants": [{"appid": _APPID, "puid": _PUID, "granted_at": _AT, "since": _AT, **_LOOKED, **_STATE}],
    "applications": [],
    "webhooks": [],
    "notifications": [{"appid": _APPID, **_PLAIN, "sent": _AT}],
    "inbox": [_ENTRY],
    "complete": True,
}
_HOOK: dict[str, Any] = {
    **{"url": "https://chess.example.org/hooks/presence", "events": ["presence"], "state": "on", "reason": None, "created_at": _AT},
    **{"cursor": _CURSOR, "outcomes": "", "failures": 0, "failing_since": None, "next_attempt_at": None},
}
_ATTEMPT: dict[str, Any] = {
    **{"at": _AT + 15_000, "type": "presence.updates", "outcome": "delivered", "status": 204, "error": "", "milliseconds": 48},
    **{"attempts": 3, "entries": 7, "since": _CURSOR},
}
_UPDATES = {"updates": [{"puid": _PUID, "status": "offline", "at": _AT + 15_000, "reason": "lost"}], "cursor": "a09382be157d087b:6"}
_OUTCOME: dict[str, Any] = {"id": _FOLLOWED, "puid": _PUID, "outcome": "delivered", "at": _AT + 2000}
_OUTCOMES: dict[str, Any] = {"outcomes": [_OUTCOME], "cursor": "18"}
_SNAPSHOT = {"snapshot": [_PRESENT], "last": True, "cursor": _CURSOR}
_FIGURES: dict[str, Any] = {
    **{"at": _AT, "devices": 2, "users": 1, "applications": 1, "sockets": 4, "unsigned": 0, "behind": 0},
    **{"updates_per_second": 0.02, "updates": 61, "slow_readers": 0},
    "health": [{"backend": "directory", "reached": 1, "asked": 1}],
    "errors": [{"errno": 104, "meaning": "credentials are missing", "count": 3}],
    "closes": [{"code": 4010, "meaning": "replaced", "count": 1}],
    "minutes": [{"at": _AT, "devices": 2, "users": 1, "applications": 1, "updates": 1, "errors": 0, "slow_readers": 0}],
    "events": [{"at": _AT, "what": "sign-ins fail", "who": "a…@example.org", "times": 10}],
    "processes": [{"pid": 4711, "started_at": _AT, "sockets": 4, "memory_bytes": 70_000_000}],
}

EXAMPLES: dict[str, list[Any]] = {
    # frames of devices
    "StatusUpdate": [
        {"email": _ADA, "assertion": _ASSERTION, "status": "online", "device": "laptop"},
        {"email": _ADA, "status": "unavailable", "id": 7},
    ],
    "OverrideUpdate": [{"email": _ADA, "override": "unavailable", "until": _AT + 3_600_000}, {"email": _ADA, "override": None, "id": 9}],
    "Acknowledge": [{"action": "ack", "notifications": [_NOTIFICATION], "id": 8}],
    "OkReply": [{"result": "OK"}, {"result": "OK", "ticket": _TICKET, "id": 7}],
    "KoReply": [{"result": "KO", "errno": 34, "error": "Invalid assertion"}, _SLOW_DOWN],
    "PlainNotifications": [{"notifications": [_PLAIN]}],
    "Notifications": [
        {
            "notifications": [
                {**_PLAIN, "id": _NOTIFICATION, "appid": _APPID, "domain": "chess.example.org", "site": "example.org", "sent": _AT}
            ]
        }
    ],
    "DeviceHeartbeat": [{"email": _ADA, "assertion": _TICKET, "status": "online", "device": "laptop", "lease": 60, "ticket": True}],
    "DeviceHeartbeatReply": [
        {
            **{"result": "OK", "ticket": _TICKET, "lease": 60},
            "notifications": [
                {**_PLAIN, "id": _NOTIFICATION, "appid": _APPID, "domain": "chess.example.org", "site": "example.org", "sent": _AT}
            ],
        }
    ],
    "MarkRead": [{"action": "read", "notifications": [_NOTIFICATION], "id": 9}],
    "ReportOutcome": [{"action": "opened", "notifications": [_FOLLOWED], "id": 10}],
    "Unread": [{"unread": 2}],
    "Cleared": [{"cleared": [_NOTIFICATION]}],
    # frames of app services
    "Authenticate": [{"action": "auth", "key": _KEY}, {"action": "auth", "key": _KEY, "since": "a09382be157d087b:4", "outcomes": "17"}],
    "AuthReply": [{"result": "OK", "action": "auth", "recovery": "replayed"}],
    "Notify": [{"action": "notify", "id": 1, "notifications": [{"puid": _PUID, "message": "Your move", "action": _PLAIN["action"]}]}],
    "Ping": [{"action": "ping", "id": "ping"}],
    "NotifyReply": [{"result": "OK", **_NOTIFIED, "id": 1}],
    "Snapshot": [_SNAPSHOT, {"snapshot": [_PRESENT], "last": False, "resume": f"{_CURSOR}~{_PUID}"}, {**_SNAPSHOT, "continued": True}],
    "StreamEnd": [{"code": 4200, "reason": "the server is stopping; retry_after=2"}],
    "Updates": [_UPDATES],
    "OutcomeFrame": [_OUTCOMES],
    # messages to webhooks
    "UpdatesMessage": [{"type": "presence.updates", "timestamp": "2026-11-22T16:21:52Z", "data": _UPDATES}],
    "SnapshotMessage": [{"type": "presence.snapshot", "timestamp": "2026-11-22T16:21:37Z", "data": {**_SNAPSHOT, "first": True}}],
    "OutcomesMessage": [{"type": "notification.outcomes", "timestamp": "2026-11-22T16:21:39Z", "data": _OUTCOMES}],
    "WebhookTestMessage": [{"type": "webhook.test", "timestamp": "2026-11-22T16:21:37Z", "data": {}}],
    # bodies of requests
    "Login": [{"assertion": _ASSERTION}],
    "Logout": [{"everywhere": True}],
    "NewApplication": [_CHESS],
    "ApplicationChange": [{"description": "Who is up for a game of chess?"}],
    "GrantChange": [{"paused": True}, {"shows": "reachable", "until": _AT + 3_600_000, "hours": _HOURS}],
    "GrantRequest": [{"until": _AT + 3_600_000}],
    "Hours": [_HOURS],
    "BeginPairing": [{"device": "lamp", "client": "Example lamp"}],
    "RedeemPairing": [{"device_code": "gJ3c0x.."}],
    "StatusChange": [{"status": "unavailable", "until": _AT + 3_600_000}],
    "WebhookChange": [
        {"url": "https://chess.example.org/hooks/presence"},
        {"url": "https://chess.example.org/hooks/presence", "events": ["presence", "outcome"]},
    ],
    "WebhookReplay": [{"since": _CURSOR}, {"since": None}, {"outcomes": ""}],
    "PairingAnswer": [{"code": "WDJB-MJHT", "allow": True}],
    "ReadNotifications": [{"notifications": [_NOTIFICATION]}, {"until": _NOTIFICATION}],
    "DevelopmentAssertion": [{"email": _ADA}],
    "NewNotification": [
        {"puid": _PUID, "message": "Your move", "action": _PLAIN["action"], "ttl": 3600, "outcome": True},
        {"puid": _PUID, "message": "3:2", "topic": "score-7", "idempotency": "8f1c", "urgency": "high"},
    ],
    # bodies of answers
    "Refusal": [{"result": "KO", "errno": 117, "error": "too many failures from this address", "retry_after": 6}],
    "LoggedIn": [{"email": _ADA, "csrf": "Zl9hK3nVqk5b0yq0bF0a1w"}],
    "LoggedOut": [{"result": "OK"}],
    "JwkSet": [
        {
            "keys": [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                    "kid": "2026-11",
                    "use": "sig",
                    "alg": "ES256",
                }
            ]
        }
    ],
    "NewTicket": [{"ticket": _TICKET}],
    "MintedAssertion": [{"assertion": _ASSERTION}],
    "ApplicationBody": [_REGISTERED],
    "ActivatedApplication": [{**_APPLICATION, "api_key": _KEY}],
    "ApplicationDetails": [{**_APPLICATION, "keys": [{"id": "3S", "created_at": _AT, "last_used": "2026-11-22", "expires_at": None}]}],
    "ApplicationPage": [{"applications": [_APPLICATION]}],
    "NewKey": [{"appid": _APPID, "api_key": _KEY}],
    "WebhookBody": [_HOOK],
    "WebhookWithSecret": [{**_HOOK, "cursor": None, "secret": "whsec_xLh7Cn.."}],
    "WebhookDetails": [{**_HOOK, "log": [_ATTEMPT]}],
    "AttemptBody": [_ATTEMPT],
    "CurrentUsers": [{"online": 12, "unavailable": 3, "offline": 85, "sockets": 1, "updates": 4051}],
    "NotifyAnswer": [{"result": "OK", **_NOTIFIED}],
    "FollowedNotification": [{"id": _FOLLOWED, "puid": _PUID, "state": "delivered", "sent": _AT, "outcomes": [_OUTCOME]}],
    "PresencePage": [{"presence": [_PRESENT]}],
    "GrantQuestion": [{"appid": _APPID, **_CHESS}],
    "NewGrant": [{"appid": _APPID, "puid": _PUID}],
    "GrantBody": [{**_GRANT, "paused": True}],
    "GrantPage": [{"grants": [{**_GRANT, "name": "Chess club", "domain": "chess.example.org", **_LOOKED, "sees": "online", "why": _WHY}]}],
    "DeviceChange": [{"label": "Kitchen lamp"}],
    "KnownDeviceBody": [_KNOWN],
    "NewPushSubscription": [
        {
            **{"endpoint": _SUBSCRIPTION["endpoint"], "key": _VAPID_KEY, "label": "Chrome on Windows"},
            "keys": {"p256dh": _VAPID_KEY, "auth": "WAqaAhSXxK3UiFcLzJW3Cg"},
        }
    ],
    "PushState": [{"key": _VAPID_KEY, "subscriptions": [_SUBSCRIPTION]}],
    "PushSubscriptionBody": [_SUBSCRIPTION],
    "InboxPage": [{"notifications": [_ENTRY], "unread": 1}],
    "DeviceList": [{"devices": [_DEVICE], "paired": [_PAIRED], "known": [_KNOWN]}],
    "StartedPairing": [
        {
            **{"device_code": "gJ3c0x..", "user_code": "WDJB-MJHT", "verification_uri": _PAGE},
            **{"verification_uri_complete": f"{_PAGE}?code=WDJB-MJHT", "expires_in": 600, "interval": 5},
        }
    ],
    "NewCredential": [{"credential": "device:b9r9rXxg..", "email": _ADA, "device": "lamp"}],
    "PairingQuestion": [{"device": "lamp", "client": "Example lamp", "address": "192.0.2.7", "expires_at": _AT + 600_000}],
    "PairingAnswered": [{"result": "OK"}],
    "HoursBody": [{"hours": _HOURS, "quiet": False}],
    "StatusBody": [{"status": "unavailable", "merged": "online", "override": "unavailable", "until": _AT + 3_600_000}],
    "AccountDocument": [_ACCOUNT],
    "Heartbeat": [{"directory": True, "tracker": True, "mailbox": True}],
    "Alive": [{}],
    "Version": [{"name": "dpresence", "version": "0.1.0", "source": None, "commit": None, "build": None}],
    "Figures": [_FIGURES],
}
