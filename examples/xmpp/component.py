"""The XMPP side: an external component (XEP-0114) that receives and sends stanzas, and decides nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol
from xml.etree import ElementTree

from addresses import local_part, puid_of
from slixmpp import JID, ComponentXMPP
from slixmpp.plugins.xep_0030.stanza.info import DiscoInfo
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

log = logging.getLogger(__name__)
RETRY_SECONDS = 2.0
PING_SECONDS = 30
RECEIPTS, MARKERS, HINTS = "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:hints"
FEATURES = ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping", RECEIPTS, MARKERS)
_RESOURCE = "dpresence"


class Listener(Protocol):
    """Receives the events of a component. Watchers are bare JIDs."""

    def session_started(self) -> None:
        """The server has accepted the component, anew after each loss of the connection."""

    def subscribe(self, watcher: str, puid: str) -> None:
        """A watcher asks to see a contact, or their server asks for its presence."""

    def unsubscribe(self, watcher: str, puid: str) -> None:
        """A watcher does not want to see a contact any more."""

    async def message(self, stanza: Any, puid: str) -> None:
        """A watcher writes to a contact."""

    def refused(self, error: str) -> None:
        """The server refuses the component for good."""


class Component(ComponentXMPP):
    """A component of an XMPP server that connects again by itself.

    slixmpp has a roster for components, which answers subscriptions and probes by itself, in memory. Here PUIDs decide
    about them, so the component handles every presence stanza itself, and that roster stays empty.

    :ivar session: True while the server accepts stanzas. Stanzas that are sent at other times are dropped, as they would be outdated
        when the server takes them.
    """

    def __init__(self, jid: str, secret: str, host: str, port: int, listener: Listener) -> None:
        super().__init__(jid, secret, host, port, fix_error_ns=True)
        self.session, self._listener, self._ends = False, listener, False
        self.remove_handler("Presence")
        self.register_handler(Callback("Presence", MatchXPath(f"{{{self.default_ns}}}presence"), self._presence))
        self.add_event_handler("message", self._message)
        self.add_event_handler("session_start", self._session_start)
        self.add_event_handler("disconnected", self._disconnected)
        self.add_event_handler("connection_failed", self._connection_failed)
        self.add_event_handler("stream_error", self._stream_error)
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199", {"keepalive": True, "interval": PING_SECONDS, "timeout": PING_SECONDS})
        self["xep_0030"].set_node_handler("get_info", handler=self._info)

    # -- the connection

    def _session_start(self, _: Any) -> None:
        self.session = True
        log.info("the XMPP server has accepted the component")
        self._listener.session_started()

    def _disconnected(self, reason: Any) -> None:
        self.session = False
        log.warning("not connected to the XMPP server: %s", reason or "the connection ended")
        self._try_again()

    def _connection_failed(self, error: Any) -> None:
        """Try again at a steady pace: slixmpp's own waits grow up to five minutes."""
        log.warning("not connected to the XMPP server: %s", error)
        self.cancel_connection_attempt()
        self._try_again()

    def _try_again(self) -> None:
        if not self._ends:
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._connect_unless_connected)

    def _connect_unless_connected(self) -> None:
        if not (self._ends or self.is_connected() or self.is_connecting()):
            self.connect()

    def _stream_error(self, error: Any) -> None:
        if error["condition"] in ("not-authorized", "host-unknown"):
            self._listener.refused(f"the XMPP server refuses the component: {error['condition']} {error['text']}")

    async def close(self) -> None:
        """Send what was to be sent, and disconnect."""
        self._ends, self.session = True, False
        self.cancel_connection_attempt()
        if self.is_connected():
            await self.disconnect()

    # -- what is received

    def _presence(self, stanza: Any) -> None:
        watcher, puid, kind = stanza["from"].bare, puid_of(stanza["to"].local), stanza["type"]
        if kind in ("subscribe", "probe"):
            if puid is None:
                self.send_presence(pfrom=stanza["to"].bare, pto=watcher, ptype="unsubscribed")
            else:
                self._listener.subscribe(watcher, puid)
        elif puid is not None and (kind == "unsubscribe" or self._is_gone(stanza)):
            self._listener.unsubscribe(watcher, puid)

    @staticmethod
    def _is_gone(stanza: Any) -> bool:
        return stanza["type"] == "error" and stanza["error"]["condition"] in ("gone", "item-not-found")

    async def _message(self, stanza: Any) -> None:
        puid = puid_of(stanza["to"].local)
        if stanza["type"] not in ("chat", "normal"):
            return
        if puid is None:
            self.refuse(stanza["to"].bare, stanza["from"].full, stanza["id"], "item-not-found", "There is no such contact.")
        else:
            await self._listener.message(stanza, puid)

    @staticmethod
    def _info(jid: JID, node: Any, sender: Any, _: Any) -> DiscoInfo:
        """Describe every address in the same way, so that nobody learns here which contacts there are."""
        info = DiscoInfo()
        info.add_identity(*(("account", "registered") if jid.local else ("component", "presence")), name="dpresence")
        for feature in FEATURES:
            info.add_feature(feature)
        return info

    # -- what is sent

    def contact(self, puid: str) -> str:
        """Return the bare JID of a contact."""
        return f"{local_part(puid)}@{self.boundjid.bare}"

    def show(self, puid: str, watcher: str, show: str | None, text: str = "") -> None:
        """Send the presence of a contact.

        :param show: ``available``, ``away``, ``dnd``, ``xa``; None: unavailable.
        """
        if self.session:
            sender = f"{self.contact(puid)}/{_RESOURCE}"
            self.send_presence(pfrom=sender, pto=watcher, ptype=show or "unavailable", pstatus=text or None)

    def answer_subscription(self, puid: str, watcher: str, answer: str) -> None:
        """Answer ``subscribed`` or ``unsubscribed``."""
        if self.session:
            self.send_presence(pfrom=self.contact(puid), pto=watcher, ptype=answer)

    def confirm(self, puid: str, to: str, stanza: str, namespace: str, name: str) -> None:
        """Say what became of a message: ``received`` of RECEIPTS or ``displayed`` of MARKERS."""
        message = self.make_message(to, mtype="chat", mfrom=self.contact(puid))
        message.append(ElementTree.Element(f"{{{namespace}}}{name}", id=stanza))
        message.append(ElementTree.Element(f"{{{HINTS}}}store"))
        message.send()

    def refuse(self, contact: str, to: str, stanza: str, condition: str, text: str, kind: str = "cancel") -> None:
        """Answer a message with an error."""
        message = self.make_message(to, mtype="error", mfrom=contact)
        message["id"] = stanza
        for name, value in (("type", kind), ("condition", condition), ("text", text)):
            message["error"][name] = value
        message.send()
