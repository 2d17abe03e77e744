"""An XMPP user with a real client (slixmpp) that sees and sends presence, and decides by herself."""

import asyncio
from dataclasses import dataclass, field
from xml.etree import ElementTree

import slixmpp

from .inbox import Inbox, Message, Trace, untraced
from .process import HOST
from .servers import PASSWORD, XMPP_DOMAIN


@dataclass
class Presence:
    """A presence stanza: type is "available" where the attribute is missing."""

    type: str
    sender: str
    show: str = ""
    status: str = ""
    priority: str = ""
    stanza_id: str = ""
    condition: str = ""  # of type "error"
    xml: ElementTree.Element | None = field(default=None, repr=False, compare=False)

    @property
    def bare(self) -> str:
        return self.sender.split("/")[0]

    @property
    def resource(self) -> str:
        return self.sender.partition("/")[2]

    def summary(self) -> str:
        words = [self.show, f'"{self.status}"' if self.status else "",
                 self.condition]
        return " ".join(word for word in words if word)


def _presence(stanza: slixmpp.Presence) -> Presence:
    xml = stanza.xml
    ns = "{jabber:client}"
    error = xml.find(f"{ns}error")
    condition = ""
    if error is not None and len(error):
        condition = error[0].tag.rpartition("}")[2]
    return Presence(xml.get("type") or "available", str(stanza["from"]),
                    xml.findtext(f"{ns}show") or "", xml.findtext(f"{ns}status") or "",
                    xml.findtext(f"{ns}priority") or "", xml.get("id") or "", condition, xml)


class XmppUser:
    """One account with one connection. Nothing is approved or answered without being told."""

    def __init__(self, name: str, port: int, trace: Trace = untraced, resource: str = "balcony"):
        self.bare = f"{name}@{XMPP_DOMAIN}"
        self.jid = f"{self.bare}/{resource}"
        self.port = port
        self.trace = trace
        self.inbox: Inbox[Presence] = Inbox(self.bare)
        self.contacts: dict[str, Presence] = {}  # by full JID, as last seen
        self.client: slixmpp.ClientXMPP | None = None
        self._closed = asyncio.Event()

    async def connect(self, timeout_s: float = 15) -> None:
        """Opens a session without presence; go_online() or presence() follows."""
        client = slixmpp.ClientXMPP(self.jid, PASSWORD)
        self.client = client
        client.roster.auto_authorize = None
        client.roster.auto_subscribe = False
        client["feature_mechanisms"].unencrypted_plain = True
        client.add_filter("in", self._received)
        client.add_filter("out", self._sent)
        started = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", lambda _: started.done() or
                                 started.set_result(None))
        client.add_event_handler("failed_auth", lambda _: started.done() or
                                 started.set_exception(PermissionError(f"{self.jid}: login")))
        client.add_event_handler("disconnected", lambda _: self._closed.set())
        self._closed.clear()
        client.connect((HOST, self.port), use_ssl=False, force_starttls=False,
                       disable_starttls=True)
        await asyncio.wait_for(started, timeout_s)
        # Without the roster being asked for, servers send this session no roster news or requests.
        await client.get_roster(timeout=timeout_s)

    def _received(self, stanza: slixmpp.xmlstream.StanzaBase) -> slixmpp.xmlstream.StanzaBase:
        if isinstance(stanza, slixmpp.Presence) and stanza["from"].bare != self.bare:
            presence = _presence(stanza)
            self._note(presence)
            self.inbox.put(presence)
            self.trace(Message(self.bare, "xmpp", False, presence.sender,
                               f"presence {presence.type}", presence.summary(), str(stanza)))
        return stanza

    def _note(self, presence: Presence) -> None:
        if presence.type == "available":
            self.contacts[presence.sender] = presence
        elif presence.type in ("unavailable", "unsubscribed"):
            for jid in list(self.contacts):
                if jid == presence.sender or ("/" not in presence.sender
                                              and jid.split("/")[0] == presence.bare):
                    del self.contacts[jid]

    def _sent(self, stanza: slixmpp.xmlstream.StanzaBase) -> slixmpp.xmlstream.StanzaBase:
        if isinstance(stanza, slixmpp.Presence):
            presence = _presence(stanza)
            self.trace(Message(self.bare, "xmpp", True, str(stanza["to"]),
                               f"presence {presence.type}", presence.summary(), str(stanza)))
        return stanza

    def presence(self, show: str = "", status: str = "", priority: str = "") -> None:
        self.client.send_presence(pshow=show or None, pstatus=status or None,
                                  ppriority=priority or None)

    def says(self, inside: str, to: str = "", kind: str = "") -> None:
        """Presence with these elements; `to`: to this JID alone (RFC 6121 §4.6)."""
        stanza = self.client.make_presence(pto=to or None, ptype=kind or None)
        for element in ElementTree.fromstring(f"<x xmlns='jabber:client'>{inside}</x>"):
            stanza.append(element)
        stanza.send()

    def go_offline(self) -> None:
        """Unavailable, but the connection stays."""
        self.client.send_presence(ptype="unavailable")

    def ask(self, contact: str, kind: str) -> None:
        self.client.send_presence(pto=contact, ptype=kind)

    def subscribe(self, contact: str) -> None:
        self.ask(contact, "subscribe")

    def approve(self, contact: str) -> None:
        self.ask(contact, "subscribed")

    def reject(self, contact: str) -> None:
        self.ask(contact, "unsubscribed")

    def unsubscribe(self, contact: str) -> None:
        self.ask(contact, "unsubscribe")

    async def roster_subscription(self, contact: str) -> str:
        """none, to, from or both, as the server says now; "" when not in the roster."""
        request = self.client.make_iq_get("jabber:iq:roster")  # no version: all of it
        answer = await request.send(timeout=10)
        for item in answer.xml.iter("{jabber:iq:roster}item"):
            if item.get("jid") == contact:
                return item.get("subscription", "none")
        return ""

    async def sees(self, kind: str, sender: str, timeout_s: float = 15, **fields: str) -> Presence:
        """Waits for a presence stanza of this type from this bare or full JID with these fields."""

        def fits(p: Presence) -> bool:
            return (p.type == kind and sender in (p.sender, p.bare)
                    and all(getattr(p, name) == value for name, value in fields.items()))

        extra = "".join(f", {name} {value or 'missing'}" for name, value in fields.items())
        return await self.inbox.take(f"presence {kind} from {sender}{extra}", fits, timeout_s)

    async def disconnect(self) -> None:
        if self.client is None:
            return
        self.client.disconnect(wait=1.0)
        try:
            await asyncio.wait_for(self._closed.wait(), 3)
        except asyncio.TimeoutError:
            self.client.abort()
        self.client._run_out_filters.cancel()  # slixmpp leaves this task behind
        self.client = None

    async def drop(self) -> None:
        """The connection dies without a word."""
        self.client.abort()
        self.client._run_out_filters.cancel()
        self.client = None
