"""Values and calls the contract of directories is written with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent

from dpresence.backends.directory import Directory, LookCount, OutboxEntry, PartitionMove
from dpresence.errors import Refused
from dpresence.logouts import ProviderLogout
from dpresence.model import (
    Account,
    ApiKey,
    Application,
    Grant,
    Identity,
    KnownDevice,
    Pairing,
    PendingPush,
    PushSubscription,
    Session,
    Ticket,
)
from dpresence.model.outcomes import NewFollowed
from dpresence.model.webhooks import Webhook, WebhookAttempt
from dpresence.tests.waiting import PATIENCE_SECONDS

NOW = time.time_ns() // 1_000_000
"""The present: a store deletes by its own clock, and that of a server cannot be set here."""
PAST = NOW - 1000
LATER = NOW + 1_800_000
END = NOW + 3_600_000

IDENTITY = Identity("jane@example.org", "login.example.org", "jane@example.org", END)
APPLICATION = Application("app-1", "jane", "Chess", "chess.example.org", "Play", "key-of-domain", NOW)
KEY = ApiKey("key-1", "app-1", b"1" * 32, NOW)
GRANT = Grant("app-1", "puid-1", "jane", NOW, NOW)
SESSION = Session(b"s1", "jane", NOW, END)
TICKET = Ticket(b"t1", "family-1", "jane", LATER, END)
SUBSCRIPTION = PushSubscription("browser-1", "jane", "https://push.example.org/1", "p", "a", "k", "Chrome", b"s1", NOW, END)
PUSH = PendingPush("n-1", "puid-1", 1, END)
PAIRING = Pairing(b"device-code", "BCDFGHJK", "lamp", "Example lamp", "192.0.2.1", "family-9", LATER)

# one call of each method; a new method of the base is missing here until it is added
CALLS: dict[str, Callable[[Directory], Any]] = {
    "ping": lambda it: it.ping(),
    "claim_mode": lambda it: it.claim_mode("production"),
    "partitions": lambda it: it.partitions(),
    "claim_partitions": lambda it: it.claim_partitions([""]),
    "partition_move": lambda it: it.partition_move(),
    "begin_partition_move": lambda it: it.begin_partition_move(PartitionMove("m", 0, "a", "b")),
    "take_over_partition_move": lambda it: it.take_over_partition_move("m", "n"),
    "switch_partition": lambda it: it.switch_partition("m"),
    "split_partition": lambda it: it.split_partition("m", ["a", "b"]),
    "replace_partition_server": lambda it: it.replace_partition_server("a", "b"),
    "end_partition_move": lambda it: it.end_partition_move("m"),
    "sweep": lambda it: it.sweep(),
    "sign_in": lambda it: it.sign_in(IDENTITY, NOW),
    "account_of": lambda lost: lost.account_of("a@example.org"),
    "accounts": lambda lost: lost.accounts("", 10),
    "all_applications": lambda lost: lost.all_applications("", 10),
    "count_outbox": lambda lost: lost.count_outbox(10),
    "note": lambda lost: lost.note("x", "u"),
    "counts": lambda lost: lost.counts(),
    "account": lambda it: it.account("jane"),
    "merge": lambda it: it.merge("jane@example.org", "joe@example.org"),
    "unpin": lambda it: it.unpin("jane@example.org"),
    "block": lambda it: it.block("jane@example.org", True),
    "erase": lambda it: it.erase("jane"),
    "use_assertion": lambda it: it.use_assertion(b"digest", END),
    "add_session": lambda it: it.add_session(SESSION),
    "session": lambda it: it.session(b"s1", NOW),
    "sessions": lambda it: it.sessions("jane", NOW),
    "end_session": lambda it: it.end_session(b"s1"),
    "end_sessions": lambda it: it.end_sessions("jane"),
    "end_provider_session": lambda it: it.end_provider_session(ProviderLogout(b"m", "https://id.example.org", "s", "jane", NOW, END)),
    "has_ended": lambda it: it.has_ended(replace(IDENTITY, began_at=NOW)),
    "provider_session_ended": lambda it: it.provider_session_ended("key", NOW),
    "add_ticket": lambda it: it.add_ticket(TICKET),
    "use_ticket": lambda it: it.use_ticket(b"t1", NOW, None, None),
    "tickets": lambda it: it.tickets("jane", NOW),
    "family_exists": lambda it: it.family_exists("family-1"),
    "set_family_device": lambda it: it.set_family_device("family-1", "phone"),
    "sign_out_device": lambda it: it.sign_out_device("jane", "phone"),
    "add_pairing": lambda it: it.add_pairing(PAIRING),
    "pairing": lambda it: it.pairing(b"device-code", NOW),
    "has_allowed_pairing": lambda it: it.has_allowed_pairing("1", "lamp", NOW),
    "waiting_pairing": lambda it: it.waiting_pairing("BCDFGHJK", NOW),
    "answer_pairing": lambda it: it.answer_pairing("BCDFGHJK", NOW, "jane", True),
    "add_credential": lambda it: it.add_credential(b"device-code", NOW, b"c1", END),
    "credential": lambda it: it.credential(b"c1", NOW),
    "renew_credential": lambda it: it.renew_credential(b"c1", NOW, END),
    "known_devices": lambda it: it.known_devices("jane"),
    "record_device": lambda it: it.record_device(KnownDevice("jane", "phone", given="Phone", kind="phone", seen_on="2026-11-22")),
    "push_subscriptions": lambda it: it.push_subscriptions("jane"),
    "put_push_subscription": lambda it: it.put_push_subscription(SUBSCRIPTION, 10),
    "remove_push_subscription": lambda it: it.remove_push_subscription("jane", "browser-1"),
    "add_pushes": lambda it: it.add_pushes("app-1", [PUSH], 0, 10),
    "pushes_due": lambda it: it.pushes_due(),
    "claim_pushes": lambda it: it.claim_pushes(10, 1000, 20, None),
    "record_push_attempt": lambda it: it.record_push_attempt(PUSH, None, False),
    "release_pushes": lambda it: it.release_pushes(["puid-1"]),
    "rename_device": lambda it: it.rename_device("jane", "phone", "Mine"),
    "credentials": lambda it: it.credentials("jane", NOW),
    "add_application": lambda it: it.add_application(APPLICATION, 100),
    "application": lambda it: it.application("app-1"),
    "active": lambda it: it.active(["app-1"]),
    "existing": lambda it: it.existing(["chess"]),
    "version": lambda it: it.version(),
    "newest_application": lambda it: it.newest_application(),
    "applications": lambda it: it.applications("jane", "", 10),
    "change_application": lambda it: it.change_application(APPLICATION.id, {"name": "x"}),
    "move_application": lambda it: it.move_application(APPLICATION.id, {"domain": "x.example.org"}),
    "claim_checks": lambda it: it.claim_checks(NOW, LATER, 10),
    "delete_application": lambda it: it.delete_application("app-1"),
    "set_icon": lambda it: it.set_icon("app-1", b"icon"),
    "icon": lambda it: it.icon("app-1", "1"),
    "activate": lambda it: it.activate("app-1", KEY),
    "add_key": lambda it: it.add_key(KEY, NOW),
    "key": lambda it: it.key("key-1", NOW),
    "keys": lambda it: it.keys("app-1", NOW),
    "touch_key": lambda it: it.touch_key("key-1", "2026-11-22"),
    "add_grant": lambda it: it.add_grant(GRANT),
    "grant": lambda it: it.grant("app-1", "jane"),
    "grants_by_puid": lambda it: it.grants_by_puid("app-1", ["puid-1"]),
    "grants_of_users": lambda it: it.grants_of_users(["jane"]),
    "grants_of_user": lambda it: it.grants_of_user("jane"),
    "grants_with_applications": lambda it: it.grants_with_applications("jane", "", 10),
    "add_looks": lambda it: it.add_looks([LookCount("app-1", "puid-1", "2026-11-22", "rest", 1)]),
    "existing_puids": lambda it: it.existing_puids(["puid-1"]),
    "grants_of_application": lambda it: it.grants_of_application("app-1", "", 10),
    "grant_times": lambda it: it.grant_times("app-1", "", 10),
    "count_grants": lambda it: it.count_grants("app-1"),
    "change_grant": lambda it: it.change_grant("app-1", "jane", {"paused": True}, NOW),
    "set_override": lambda it: it.set_override("jane", "offline", None),
    "set_hours": lambda it: it.set_hours("jane", None),
    "due": lambda it: it.due(10),
    "make_due_changes": lambda it: it.make_due_changes(["jane"]),
    "follow_outcomes": lambda it: it.follow_outcomes("app-1", [NewFollowed("o-1", "puid-1", 60_000, True)], 1000),
    "unfollow_outcomes": lambda it: it.unfollow_outcomes("app-1", ["o-1"]),
    "place_followed": lambda it: it.place_followed("app-1", {"o-1": 1}),
    "hold_outcome": lambda it: it.hold_outcome("jane", {"puid-1": NOW}, ["o-1"], "delivered", 1000),
    "held_outcomes": lambda it: it.held_outcomes("app-1", "puid-1", "", 10),
    "publish_outcomes": lambda it: it.publish_outcomes("app-1", {"o-1": ["delivered"]}),
    "revoke_outcomes": lambda it: it.revoke_outcomes({"puid-1": "app-1"}),
    "outcomes": lambda it: it.outcomes("app-1", 0, 10),
    "followed": lambda it: it.followed("app-1", "o-1"),
    "followed_waiting": lambda it: it.followed_waiting("puid-1", 10),
    "outcomes_due": lambda it: it.outcomes_due(),
    "claim_outcomes": lambda it: it.claim_outcomes(10, 1000, None),
    "postpone_outcomes": lambda it: it.postpone_outcomes({"o-1": NOW}),
    "trim_outcomes": lambda it: it.trim_outcomes("app-1", 10),
    "webhook": lambda it: it.webhook("app-1"),
    "put_webhook": lambda it: it.put_webhook(Webhook("app-1", "", "", "", NOW), "", None),
    "change_webhook": lambda it: it.change_webhook("app-1", {"cursor": ""}),
    "delete_webhook": lambda it: it.delete_webhook("app-1"),
    "lease_webhooks": lambda it: it.lease_webhooks("a", 60, 20, 10),
    "release_webhooks": lambda it: it.release_webhooks("a"),
    "leased_webhook": lambda it: it.leased_webhook("app-1", "a"),
    "record_attempt": lambda it: it.record_attempt(WebhookAttempt("app-1", NOW, "webhook.test", "delivered", 200, "", 1)),
    "claim_turned_off": lambda it: it.claim_turned_off(60_000, 1000),
    "record_owner_mail": lambda it: it.record_owner_mail(Webhook("app-1", "", "", "", NOW), None),
    "webhook_attempts": lambda it: it.webhook_attempts("app-1", 10),
    "outbox": lambda it: it.outbox(["jane"], 0, 10),
    "clear_outbox": lambda it: it.clear_outbox([OutboxEntry(1, "jane", "account", "jane")]),
    "revoke": lambda it: it.revoke("app-1", "jane"),
}


def person(backend: Directory, name: str = "jane") -> Account:
    """Sign a person in; each name is an e-mail of its own."""
    return backend.sign_in(Identity(f"{name}@example.org", "login.example.org", f"{name}@example.org", END), NOW)


def application(backend: Directory, owner: Account, appid: str = "app-1") -> Application:
    made = replace(APPLICATION, id=appid, owner=owner.id)
    backend.add_application(made, 100)
    return made


def grant(backend: Directory, app: Application, user: Account, puid: str = "puid-1", at: int = NOW) -> Grant:
    return backend.add_grant(Grant(app.id, puid, user.id, at, at))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls in greenlets of their own; return what each returned or raised, in order."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Refused as refusal:
            return refusal

    greenlets = [gevent.spawn(outcome, call) for call in calls]
    gevent.joinall(greenlets, timeout=PATIENCE_SECONDS, raise_error=True)
    return [greenlet.value for greenlet in greenlets]
