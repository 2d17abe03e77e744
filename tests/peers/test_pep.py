"""Mood and activity between real users: a real server sends personal events to a SIP user because his
presence says that he wants them, and hands the gateway's events to its own user (XEP-0163)."""

import asyncio
import os
from xml.etree import ElementTree

import slixmpp

from .inbox import Inbox
from .test_presence import JULIET, ROMEO, Journey

MOOD = "http://jabber.org/protocol/mood"
ACTIVITY = "http://jabber.org/protocol/activity"
PUBSUB = "http://jabber.org/protocol/pubsub"


class Events(Journey):
    xmpp = os.environ.get("PEERS_XMPP", "prosody") + "_pep"

    async def together(self) -> None:
        """Each watches the other."""
        await self.both()
        self.events: Inbox[tuple[str, str, str]] = Inbox(JULIET)  # sender, node, words
        self.juliet.client.add_filter("in", self._heard)
        await self.juliet_watches()
        await self.romeo_watches()

    def _heard(self, stanza: slixmpp.xmlstream.StanzaBase) -> slixmpp.xmlstream.StanzaBase:
        for items in stanza.xml.iter(f"{{{PUBSUB}#event}}items"):
            words = [element.tag.rpartition("}")[2] for element in items.iter()][2:]
            self.events.put((str(stanza["from"]), items.get("node"), " ".join(words)))
        return stanza

    async def hears(self, node: str, words: str) -> None:
        await self.events.take(f"{node} {words}", lambda e: e == (ROMEO, node, words))

    async def publishes(self, node: str, payload: str) -> None:
        iq = self.juliet.client.make_iq_set()
        iq.append(ElementTree.fromstring(
            f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='current'>{payload}</item>"
            "</publish></pubsub>"))
        await iq.send(timeout=10)

    async def is_told(self, *words: str) -> None:
        await self.romeo.inbox.take(f"{words} of {JULIET}",
                                    lambda n: n.sender == JULIET and n.person == set(words))

    async def test_she_hears_how_he_feels(self) -> None:
        await self.together()
        await self.romeo.publish("open", mood="happy", activity="meeting")
        await self.hears(MOOD, "mood happy")
        await self.hears(ACTIVITY, "activity working in_a_meeting")
        await self.romeo.publish("open")
        await self.hears(MOOD, "mood")
        await self.hears(ACTIVITY, "activity")

    async def test_he_hears_how_she_feels(self) -> None:
        await self.together()
        # ejabberd looks at what he wants only while she has approved him: with his next presence.
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, show="away")
        await asyncio.sleep(1)  # her server asks his device what it wants
        await self.publishes(MOOD, f"<mood xmlns='{MOOD}'><in_love/></mood>")
        await self.is_told("in_love")
        await self.publishes(
            ACTIVITY, f"<activity xmlns='{ACTIVITY}'><relaxing><watching_tv/></relaxing></activity>")
        await self.is_told("in_love", "tv")
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd")
        await self.publishes(MOOD, f"<mood xmlns='{MOOD}'/>")
        await self.is_told("tv")

    async def test_what_she_felt_before_he_came(self) -> None:
        if not self.xmpp.startswith("prosody"):
            self.skipTest("ejabberd sends it before it knows whether he wants it, and so not at all")
        await self.both()
        await self.publishes(MOOD, f"<mood xmlns='{MOOD}'><in_love/></mood>")
        await self.romeo_watches()
        await self.juliet_watches()  # his presence, and with it what he wants
        await self.is_told("in_love")

    async def test_what_she_may_ask(self) -> None:
        await self.together()
        for to, payload in ((ROMEO, "<query xmlns='jabber:iq:last'/>"),
                            (f"{ROMEO}/orchard", "<query xmlns='jabber:iq:last'/>")):
            iq = self.juliet.client.make_iq_get(ito=to)
            iq.append(ElementTree.fromstring(payload))
            answer = await iq.send(timeout=10)
            self.assertEqual(answer.xml[0].get("seconds"), "0", to)
