"""Shows the users of an application as contacts in XMPP, and sends what is written to them as notifications.

python3 bridge.py bridge.ini
python3 bridge.py bridge.ini --contact PUID
"""

from __future__ import annotations

import argparse
import asyncio
import configparser
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from addresses import local_part
from component import MARKERS, RECEIPTS, Component
from dpresence_client import Delivery, FileStore, NotConnected, NotFound, Outcome, OutcomeUnknown, PresenceError, Refused, SlowDown
from dpresence_client.aio import AppService
from records import Message, Records

log = logging.getLogger("bridge")
PERMANENT = 2  # exit status after which a restart does not help
ANSWER_SECONDS = 10.0
MAX_PENDING = 10_000
UNKNOWN, STOPPED = "It is not known at the moment.", "The bridge has stopped."
NOT_DELIVERED = {
    "expired": "It waited too long and was not delivered.",
    "dropped": "Too many others wait; it was not delivered.",
    "revoked": "This contact cannot be reached any more.",
}


class Bridge:
    """One application and one component.

    :param config: the sections of the configuration file.
    :param folder: where relative paths begin.
    :ivar current: True while the table of statuses is known to be right. Otherwise all contacts are shown as unavailable.
    """

    def __init__(self, config: configparser.ConfigParser, folder: Path) -> None:
        xmpp, registered = config["xmpp"], json.loads((folder / config["dpresence"]["registered"]).read_text())
        data = folder / config["dpresence"].get("data", ".")
        self.records = Records(data / "records.db")
        self.app = AppService(
            *(registered["service"], registered["appid"], registered["key"]),
            store=FileStore(data / "table.json"),
            on_current=self._current,
            on_outcome=self._outcome,
            answer_seconds=ANSWER_SECONDS,
        )
        self.component = Component(xmpp["jid"], xmpp["secret"], xmpp["host"], int(xmpp["port"]), self)
        self.current, self._text = False, UNKNOWN
        self._watchers = {name.strip().lower() for name in xmpp["watchers"].split(",")}
        self._shows = {"online": "available", "unavailable": xmpp.get("unavailable", "away"), "offline": None}
        self._pending: dict[tuple[str, str], None] = {}
        self._sending = 0
        self._refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Bridge until it is cancelled.

        :raises PresenceError: dpresence refuses the application for good.
        :raises PermissionError: the XMPP server refuses the component for good.
        """
        self.component.connect()
        follow = asyncio.ensure_future(self._follow())
        try:
            await asyncio.wait([follow, self._refused], return_when=asyncio.FIRST_COMPLETED)
            for ended in (follow, self._refused):
                if ended.done():
                    ended.result()
        finally:
            follow.cancel()
            self.current, self._text = False, STOPPED
            self.show_all()
            await self.component.close()
            await asyncio.wait([follow])
            self.records.close()

    async def _follow(self) -> None:
        async with self.app:
            async for change in self.app:
                if self.current:
                    self.show_all(change.puid)

    # -- statuses

    def _current(self, current: bool) -> None:
        """Show everything anew when dpresence is lost, and when everything that was missed is known."""
        log.info("statuses are %s", "current" if current else "unknown: dpresence does not answer")
        self.current = current
        self.show_all()
        if current:
            pending, self._pending = self._pending, {}
            for watcher, puid in pending:
                self.subscribe(watcher, puid)

    def session_started(self) -> None:
        """Show everything anew, as the server has missed changes; answer messages whose outcome came meanwhile."""
        self.show_all()
        self._answer()

    def show_all(self, puid: str | None = None) -> None:
        """Show contacts, or one contact, to their watchers, if the server can be told."""
        if self.component.session:
            for watcher, seen in self.records.watchers(puid):
                self._show(watcher, seen)

    def _show(self, watcher: str, puid: str) -> None:
        if not self._allows(watcher):  # the operator has taken them out of the configuration
            self.unsubscribe(watcher, puid)
        elif not self.current:
            self.component.show(puid, watcher, None, self._text)
        elif entry := self.app.table.get(puid):
            self.component.show(puid, watcher, self._shows[entry.status])
        else:
            self.unsubscribe(watcher, puid)

    # -- subscriptions

    def _allows(self, watcher: str) -> bool:
        return not self._watchers.isdisjoint((watcher.lower(), watcher.rpartition("@")[2].lower()))

    def subscribe(self, watcher: str, puid: str) -> None:
        """Let a watcher see a contact, if both are known; wait with the answer while this is not known."""
        if not self._allows(watcher):
            self.component.answer_subscription(puid, watcher, "unsubscribed")
        elif self.records.watches(watcher, puid):
            self.component.answer_subscription(puid, watcher, "subscribed")
            self._show(watcher, puid)
        elif not self.current:
            if len(self._pending) < MAX_PENDING:
                self._pending[watcher, puid] = None
        elif puid in self.app.table:
            self.records.watch(watcher, puid)
            self.subscribe(watcher, puid)
        else:
            self.component.answer_subscription(puid, watcher, "unsubscribed")

    def unsubscribe(self, watcher: str, puid: str) -> None:
        """End a subscription: the watcher has ended it, or the user has revoked the access."""
        self._pending.pop((watcher, puid), None)
        self.records.unwatch(watcher, puid)
        self.component.show(puid, watcher, None)
        self.component.answer_subscription(puid, watcher, "unsubscribed")

    # -- messages

    async def message(self, stanza: Any, puid: str) -> None:
        """Send a message as a notification. Its sender is answered once the outcome is known, or with an error."""
        sender, number = stanza["from"], stanza["id"]
        if not self.records.watches(sender.bare, puid):
            self._refuse(puid, sender.full, number, "subscription-required", "Add this contact first.", "auth")
            return
        wanted = {"receipt": f"{{{RECEIPTS}}}request", "marker": f"{{{MARKERS}}}markable"}
        wants = " ".join(name for name, tag in wanted.items() if number and stanza.xml.find(tag) is not None)
        try:
            delivery = await self._notify(puid, stanza["body"], sender.local)
        except PresenceError as error:
            self._refuse(puid, sender.full, number, *explain(error))
            return
        self.records.sent(delivery.id, Message(puid, sender.full, number, wants))
        self._answer()

    async def _notify(self, puid: str, text: str, name: str) -> Delivery:
        """Send a notification, and once more if it is not known whether it was accepted; it is one by its idempotency key."""
        source = name if "." not in name else None  # dpresence refuses names that look like web addresses
        key = uuid4().hex
        self._sending += 1
        try:
            try:
                return await self.app.notify(puid, text, source=source, idempotency=key, outcome=True)
            except OutcomeUnknown as unknown:
                try:
                    return await self.app.notify(puid, text, source=source, idempotency=key, outcome=True)
                except NotConnected:
                    raise unknown from None
        finally:
            self._sending -= 1

    def _outcome(self, outcome: Outcome) -> None:
        self.records.ended(outcome.id, outcome.outcome, early=self._sending > 0)
        self._answer()

    def _answer(self) -> None:
        """Tell the senders of messages what became of them, if the server can be told."""
        if not self.component.session:
            return
        for notification, outcome, message in self.records.unanswered():
            self._tell(outcome, message)
            self.records.answered(notification)

    def _tell(self, outcome: str, message: Message) -> None:
        if outcome in NOT_DELIVERED:
            self._refuse(message.puid, message.sender, message.stanza, "recipient-unavailable", NOT_DELIVERED[outcome], "cancel")
        if outcome in ("delivered", "shown", "opened") and "receipt" in message.wants:
            self.component.confirm(message.puid, message.sender, message.stanza, RECEIPTS, "received")
        if outcome in ("shown", "opened") and "marker" in message.wants:
            self.component.confirm(message.puid, message.sender, message.stanza, MARKERS, "displayed")

    def _refuse(self, puid: str, to: str, stanza: str, condition: str, text: str, kind: str) -> None:
        self.component.refuse(self.component.contact(puid), to, stanza, condition, text, kind)

    def refused(self, error: str) -> None:
        """End the bridge."""
        if not self._refused.done():
            self._refused.set_exception(PermissionError(error))


def explain(error: PresenceError) -> tuple[str, str, str]:
    """Return the condition, text and type of an XMPP error."""
    if isinstance(error, NotFound):
        return "item-not-found", "This contact cannot be reached any more.", "cancel"
    if isinstance(error, SlowDown):
        return "policy-violation", f"Too many messages: try again in {error.retry_after} s.", "wait"
    if isinstance(error, NotConnected):
        return "remote-server-timeout", "Not sent: dpresence does not answer. Try again later.", "wait"
    if isinstance(error, Refused):
        return "not-acceptable", error.error, "modify"
    return "remote-server-timeout", f"It may have been sent or not: {error}", "wait"


async def bridge(config: configparser.ConfigParser, folder: Path) -> None:
    """Run a bridge until SIGTERM or Ctrl-C."""
    try:
        made = Bridge(config, folder)
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        raise SystemExit(f"the configuration cannot be used: {error}") from None
    running = asyncio.ensure_future(made.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()


def main() -> int:
    """Read the arguments and the configuration, and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--contact", metavar="PUID", help="print the JID of a user, and end")
    options = parser.parse_args()
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(options.config.read_text())
    if options.contact:
        print(f"{local_part(options.contact)}@{config['xmpp']['jid']}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(bridge(config, options.config.parent))
    except (PresenceError, PermissionError) as error:
        print(error, file=sys.stderr)
        return PERMANENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
