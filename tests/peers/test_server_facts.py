"""What the XMPP servers answer an external component: the facts that the gateway builds on.

The gateway is not part of this; a bare component asks. A test that fails here means that the table
in README.md, and perhaps the gateway, has to change.
"""

import asyncio
import base64
import hashlib
import re
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from .component import Component, brief
from .servers import GATEWAY_DOMAIN, SIP_DOMAIN, Ejabberd, EjabberdPep, Prosody, ProsodyPep
from .xmpp_user import XmppUser

JULIET, ROMEO = "juliet@example.com", "romeo@example.net"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
ORCHARD = f"{ROMEO}/orchard"
MOOD = "http://jabber.org/protocol/mood"
IDENTITY = "<identity category='client' type='phone'/>"
VERSION = base64.b64encode(
    hashlib.sha1(f"client/phone//<{MOOD}+notify<".encode()).digest()).decode()
CAPS = ("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' "
        f"ver='{VERSION}'/>")


def presence(kind: str, sender: str = ROMEO, to: str = JULIET) -> str:
    return f"<presence id='own' from='{sender}' to='{to}' type='{kind}'/>"


def disco(sender: str, to: str = JULIET) -> str:
    return f"<iq id='own' type='get' from='{sender}' to='{to}'>{DISCO}</iq>"


class Facts:
    """The same questions to each server; what differs is in the attributes."""

    server_class: type
    ordered: bool                # do answers of session and router come in the order asked?
    stranger_disco: str
    acknowledgement: list[str]   # of a subscribe that she has not decided
    undecided_probe: list[str]
    offline_probe: list[str]
    repeated: list[str]          # answers to subscribe after approval, she is online
    approved_disco: str
    card: str                    # answer to a request for her vCard
    unsubscribe: list[str]

    async def asyncSetUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="isthmus-facts-")
        self.server = self.server_class(Path(self.folder.name))
        await self.server.start()
        self.net = Component(SIP_DOMAIN, self.server.component_port)
        self.own = Component(GATEWAY_DOMAIN, self.server.component_port)
        await self.net.connect()
        await self.own.connect()
        self.juliet = XmppUser("juliet", self.server.c2s_port)

    async def asyncTearDown(self) -> None:
        await self.juliet.disconnect()
        self.net.close()
        self.own.close()
        self.server.kill()
        self.folder.cleanup()

    async def log_in(self) -> None:
        await self.juliet.connect()
        self.juliet.presence()

    async def ask(self, xml: str, component: Component | None = None) -> list[str]:
        return [brief(e) for e in await (component or self.net).answers(xml)]

    async def heard(self) -> list[str]:
        """What has come since this was asked last, and what still comes; ids left out."""
        await asyncio.sleep(0.5)
        answers = [re.sub(r" id=\S+", "", brief(e)) for e in self.net.inbox.items]
        self.net.inbox.clear()
        return answers

    async def watch(self) -> None:
        await self.log_in()
        self.juliet.subscribe(ROMEO)
        await self.ask("")
        self.net.send(presence("subscribed"))
        await self.juliet.sees("subscribed", ROMEO)
        await self.heard()

    async def approve(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        answers = await self.ask("")
        self.assertRegex(answers[0], f"^presence subscribed from={JULIET} to={ROMEO}")
        self.assertRegex(answers[1], f"^presence - from={JULIET}/balcony to={ROMEO}")

    async def test_stranger_gets_silence_and_the_fence_an_answer(self) -> None:
        for user in (JULIET, "tybalt@example.com"):
            await self._strangers(user)
        await self.log_in()
        await self._strangers(JULIET)

    async def _strangers(self, user: str) -> None:
        for component in (self.net, self.own):
            self.assertEqual(await self.ask(presence("probe", component.domain, user), component), [])
            answers = await self.ask(disco(component.domain, user), component)
            self.assertEqual(len(answers), 1)
            self.assertIn(f"iq error from={user} to={component.domain} id=own", answers[0])
            self.assertIn(self.stranger_disco, answers[0])

    async def test_probe_before_anything_was_asked(self) -> None:
        await self.log_in()
        self.assertEqual(await self.ask(presence("probe")), [])

    async def test_undecided_subscribe_waits_for_her(self) -> None:
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        await self.log_in()
        await self.juliet.sees("subscribe", ROMEO)
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        self.assertEqual(self.juliet.inbox.items, [], "asked twice")
        self.juliet.approve(ROMEO)
        self.assertIn("presence subscribed", (await self.ask(""))[0])

    async def test_probe_while_undecided(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        await self.juliet.sees("subscribe", ROMEO)
        self.assertEqual(await self.ask(presence("probe")), self.undecided_probe)
        self.juliet.approve(ROMEO)
        forgotten = bool(self.undecided_probe)
        self.assertEqual(await self.ask("") == [], forgotten)

    async def test_probe_before_subscribe_mends_what_the_probe_broke(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        answers = await self.ask(presence("probe") + presence("subscribe"))
        self.assertEqual(answers, self.undecided_probe + self.acknowledgement)
        self.juliet.approve(ROMEO)
        self.assertIn("presence subscribed", (await self.ask(""))[0])

    async def test_answers_keep_their_order(self) -> None:
        await self.approve()
        kinds = [a.split()[0] for a in await self.ask(presence("probe") + disco(SIP_DOMAIN))]
        self.assertEqual(kinds if self.ordered else sorted(kinds, reverse=True), ["presence", "iq"])

    async def test_probe_after_approval(self) -> None:
        await self.approve()
        self.assertRegex((await self.ask(presence("probe")))[0],
                         f"^presence - from={JULIET}/balcony to={ROMEO} .*<delay>")
        self.juliet.go_offline()
        self.assertRegex((await self.ask(""))[0], f"presence unavailable from={JULIET}/balcony")
        self.assertEqual(await self.ask(presence("probe")), self.offline_probe)

    async def test_subscribe_after_approval(self) -> None:
        await self.approve()
        answers = await self.ask(presence("subscribe"))
        self.assertEqual([" ".join(a.split()[:3]) for a in answers], self.repeated)
        self.assertNotIn("id=own", answers[0])

    async def test_disco_after_approval(self) -> None:
        await self.approve()
        self.assertIn(self.approved_disco, (await self.ask(disco(ROMEO)))[0])

    async def test_unsubscribe_after_approval(self) -> None:
        await self.approve()
        answers = await self.ask(presence("unsubscribe"))
        self.assertEqual([" ".join(a.split()[:3]) for a in answers], self.unsubscribe)
        await self.juliet.sees("unsubscribe", ROMEO)

    async def test_rejection(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        self.juliet.reject(ROMEO)
        answers = await self.ask("")
        self.assertEqual(len(answers), 1)
        self.assertRegex(answers[0], f"^presence unsubscribed from={JULIET} to={ROMEO} id=")

    async def test_she_subscribes_and_is_probed_for_at_login(self) -> None:
        await self.log_in()
        self.juliet.subscribe(ROMEO)
        self.assertRegex((await self.ask(""))[0], f"presence subscribe from={JULIET} to={ROMEO}")
        self.net.send(presence("subscribed"))
        await self.juliet.sees("subscribed", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "to")
        await self.juliet.disconnect()
        self.net.inbox.clear()
        await self.log_in()
        await self.net.inbox.take("probe", lambda e: brief(e).startswith(
            f"presence probe from={JULIET}/balcony to={ROMEO}"))

    async def test_directed_presence(self) -> None:
        """To one who may not watch her: passed on as it is, and its end with her session's."""
        await self.log_in()
        self.juliet.says("<show>dnd</show>", ROMEO)
        self.assertEqual(await self.heard(), [
            f"presence - from={JULIET}/balcony to={ROMEO} <show>dnd"])
        self.juliet.presence("away")
        self.assertEqual(await self.heard(), [], "that is not for him")
        self.juliet.says("", ORCHARD)
        self.assertEqual(await self.heard(), [f"presence - from={JULIET}/balcony to={ORCHARD}"])
        await self.juliet.disconnect()
        self.assertEqual(sorted(await self.heard()), [
            f"presence unavailable from={JULIET}/balcony to={to}" for to in (ROMEO, ORCHARD)])

    async def test_sessions_of_one_who_only_watches(self) -> None:
        """Each device that comes probes; of one that leaves nobody is told."""
        await self.watch()
        chamber = XmppUser("juliet", self.server.c2s_port, resource="chamber")
        await chamber.connect()
        chamber.presence()
        self.assertEqual(await self.heard(), [f"presence probe from={JULIET}/chamber to={ROMEO}"])
        await chamber.drop()
        await self.juliet.disconnect()
        self.assertEqual(await self.heard(), [])

    async def test_sessions_of_one_who_is_watched(self) -> None:
        await self.approve()
        chamber = XmppUser("juliet", self.server.c2s_port, resource="chamber")
        await chamber.connect()
        chamber.presence(priority="-1")
        self.assertRegex((await self.ask(""))[0], f"presence - from={JULIET}/chamber to={ROMEO}")
        answers = await self.ask(presence("probe"))
        self.assertEqual({a.split()[2] for a in answers}, {
            f"from={JULIET}/balcony", f"from={JULIET}/chamber"})
        await chamber.drop()
        self.assertEqual((await self.heard())[-1],
                         f"presence unavailable from={JULIET}/chamber to={ROMEO}")
        answers = await self.ask(f"<iq id='own' type='get' from='{ROMEO}' to='{JULIET}'>"
                                 "<vCard xmlns='vcard-temp'/></iq>")
        self.assertEqual([self.card in answer for answer in answers], [True])

    async def test_foreign_sender_ends_the_stream(self) -> None:
        answers = await self.ask(presence("probe", "romeo@example.org"))
        self.assertIn("invalid-from", answers[0])


class ProsodyFacts(Facts, unittest.IsolatedAsyncioTestCase):
    server_class = Prosody
    ordered = True
    stranger_disco = "service-unavailable"
    acknowledgement = [f"presence unavailable from={JULIET} to={ROMEO}"]
    undecided_probe = [f"presence unsubscribed from={JULIET} to={ROMEO}"]
    offline_probe = [f"presence unavailable from={JULIET} to={ROMEO}"]
    repeated = [f"presence subscribed from={JULIET}", f"presence - from={JULIET}/balcony",
                f"presence - from={JULIET}/balcony"]
    approved_disco = "iq result"
    card = "service-unavailable"
    unsubscribe: list[str] = []


class EjabberdFacts(Facts, unittest.IsolatedAsyncioTestCase):
    server_class = Ejabberd
    ordered = False
    stranger_disco = "subscription-required"
    acknowledgement: list[str] = []
    undecided_probe: list[str] = []
    offline_probe: list[str] = []
    repeated = [f"presence subscribed from={JULIET}"]
    approved_disco = "not-allowed"
    card = "service-unavailable"
    unsubscribe = [f"presence unsubscribed from={JULIET}",
                   f"presence unavailable from={JULIET}/balcony"]


class EventFacts:
    """With personal events: what becomes of capabilities in a SIP user's presence."""

    server_class: type
    asker: str       # who asks what the hash stands for
    last: list[str]  # what she published before he came
    after: list[str] = []  # what she publishes when his device has left

    asyncSetUp, asyncTearDown = Facts.asyncSetUp, Facts.asyncTearDown
    ask, heard, log_in, approve = Facts.ask, Facts.heard, Facts.log_in, Facts.approve

    async def feels(self, word: str) -> None:
        iq = self.juliet.client.make_iq_set()
        iq.append(ElementTree.fromstring(
            f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{MOOD}'>"
            f"<item id='current'><mood xmlns='{MOOD}'><{word}/></mood></item></publish></pubsub>"))
        await iq.send(timeout=10)

    async def comes(self) -> None:
        """His device comes, and answers what is asked about it."""
        self.net.inbox.clear()
        self.net.send(f"<presence from='{ORCHARD}' to='{JULIET}'>{CAPS}</presence>")
        asked = await self.net.inbox.take("disco#info", lambda e: e.get("to") == ORCHARD)
        self.assertEqual((asked.get("from"), asked[0].get("node")),
                         (self.asker, f"urn:x#{VERSION}"))
        self.net.send(
            f"<iq type='result' from='{ORCHARD}' to='{asked.get('from')}' id='{asked.get('id')}'>"
            f"<query xmlns='http://jabber.org/protocol/disco#info' node='urn:x#{VERSION}'>"
            f"{IDENTITY}<feature var='{MOOD}+notify'/></query></iq>")

    async def both(self) -> None:
        await self.approve()
        self.juliet.subscribe(ROMEO)
        await self.ask("")
        self.net.send(presence("subscribed"))
        await self.juliet.sees("subscribed", ROMEO)

    async def events(self) -> list[str]:
        return [" ".join(a.split()[:4]) for a in await self.heard() if a.startswith("message")]

    async def test_events_follow_capabilities(self) -> None:
        await self.both()
        await self.feels("happy")
        self.assertEqual(await self.events(), [], "nobody has said that he wants them")
        await self.comes()
        self.assertEqual(await self.events(), self.last)
        await self.feels("sad")
        self.assertEqual(await self.events(), [f"message headline from={JULIET} to={ORCHARD}"])
        self.net.send(presence("unavailable", ORCHARD))
        await self.heard()
        await self.feels("happy")
        self.assertEqual(await self.events(), self.after)


class ProsodyEventFacts(EventFacts, unittest.IsolatedAsyncioTestCase):
    server_class = ProsodyPep
    asker = JULIET
    last = [f"message headline from={JULIET} to={ORCHARD}"]


class EjabberdEventFacts(EventFacts, unittest.IsolatedAsyncioTestCase):
    server_class = EjabberdPep
    asker = f"{JULIET}/balcony"
    last: list[str] = []


if __name__ == "__main__":
    unittest.main()
