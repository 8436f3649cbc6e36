"""A user of an XMPP server, as a program: ``python3 xmpp_user.py JID PASSWORD PORT``.

It reads orders and prints what it receives, each as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from xml.etree import ElementTree

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

RECEIPTS, MARKERS = "urn:xmpp:receipts", "urn:xmpp:chat-markers:0"


def tell(**values):
    print(json.dumps(values), flush=True)


class User(ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password, plugin_config={"feature_mechanisms": {"unencrypted_scram": True}})
        self.enable_direct_tls, self.enable_starttls, self.enable_plaintext = False, False, True
        self.add_event_handler("session_start", self.session_start)
        for kind in ("subscribed", "unsubscribed", "unavailable"):
            self.add_event_handler(f"presence_{kind}", self.presence)
        self.add_event_handler("presence_available", self.presence)
        for show in ("away", "dnd", "xa", "chat"):
            self.add_event_handler(f"presence_{show}", self.presence)
        self.add_event_handler("disconnected", lambda _: tell(ended=True))
        self.register_plugin("xep_0030")
        self.remove_handler("IM")
        self.remove_handler("IMError")
        self.register_handler(Callback("Any", MatchXPath("{jabber:client}message"), self.message))

    async def session_start(self, _):
        self.send_presence()
        await self.get_roster()
        tell(ready=True)

    def presence(self, stanza):
        if stanza["from"].bare != self.boundjid.bare:
            tell(sender=stanza["from"].bare, presence=stanza["type"], text=stanza["status"])

    def message(self, stanza):
        found = {"sender": stanza["from"].bare, "message": stanza["type"], "id": stanza["id"]}
        for name, tag in (("receipt", f"{{{RECEIPTS}}}received"), ("marker", f"{{{MARKERS}}}displayed")):
            if (element := stanza.xml.find(tag)) is not None:
                found[name] = element.get("id")
        if stanza["type"] == "error":
            found |= {"condition": stanza["error"]["condition"], "text": stanza["error"]["text"]}
        tell(**found)

    async def read(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            await self.obey(**json.loads(line))

    async def obey(self, to, order, **values):
        if order == "send":
            message = self.make_message(to, values["body"], mtype="chat")
            message["id"] = values["id"]
            message.append(ElementTree.Element(f"{{{RECEIPTS}}}request"))
            message.append(ElementTree.Element(f"{{{MARKERS}}}markable"))
            message.send()
        elif order == "features":
            info = await self["xep_0030"].get_info(jid=to)
            tell(sender=to, features=sorted(info["disco_info"]["features"]))
        else:
            self.send_presence(pto=to, ptype=order)


async def main(jid, password, port):
    user = User(jid, password)
    user.connect("127.0.0.1", int(port))
    await user.read()


asyncio.run(main(*sys.argv[1:]))
