"""Her devices come and go, she shows herself to one alone, speaks in languages: what he sees."""

import asyncio
import re
import sqlite3

from .inbox import Missing
from .sip_user import Notification
from .test_presence import JULIET, ROMEO, Journey
from .xmpp_user import XmppUser


class Devices(Journey):
    """The pair watches each other; she has more than one device."""

    async def together(self) -> None:
        await self.both()
        await self.romeo.watchers()
        await self.watched_by_none()
        await self.juliet_watches()
        await self.romeo.sees_watcher(JULIET, "active")
        await self.romeo_watches()

    async def device(self, name: str, show: str = "", priority: str = "") -> XmppUser:
        user = await self.world.xmpp_user("juliet", name, online=False)
        await user.connect()
        user.presence(show, priority=priority)
        return user

    async def shown(self, **shows: str) -> Notification:
        """A NOTIFY with just these devices open: resource → show."""
        return await self.romeo.inbox.take(
            f"{shows} open", lambda n: n.sender == JULIET and
            {t.id.removeprefix("ID-"): t.show for t in n.tuples if t.basic == "open"} == shows)

    async def watched_by_none(self, timeout_s: float = 15) -> None:
        """His server has no dialog of hers: Kamailio takes watchers that are gone off the list."""
        await self.romeo.inbox.take("a list of no watchers", lambda n: (
            n.event == "presence.winfo" and n.body and not n.watchers), timeout_s)

    async def watchers_written(self) -> list[tuple[str, int]]:
        """Who watches him as his server has it in its database: it writes that when it ends."""
        self.world.kamailio.stop()
        with sqlite3.connect(self.world.kamailio.database) as db:
            return db.execute("SELECT watcher_username, status FROM active_watchers "
                              "WHERE event = 'presence' AND to_user = 'romeo'").fetchall()

    async def test_one_leaves_and_the_last_leaves(self) -> None:
        await self.together()
        self.juliet.presence("away", priority="10")
        chamber = await self.device("chamber", "dnd", "5")
        garden = await self.device("garden", priority="-1")
        seen = await self.shown(balcony="away", chamber="dnd", garden="")
        priorities = {t.id: t.priority for t in seen.tuples}
        self.assertGreater(float(priorities["ID-balcony"]), float(priorities["ID-chamber"]))
        self.assertEqual(priorities["ID-garden"], "")  # PIDF knows none below zero
        for user in (chamber, garden):  # his presence comes to each of her devices
            await user.sees("available", ROMEO)
        await chamber.disconnect()
        await self.shown(balcony="away", garden="")
        await self.juliet.disconnect()
        await self.shown(garden="")
        await self.romeo.publish("open", "xa")  # his dialog is still watched
        await garden.sees("available", ROMEO, show="xa")
        self.romeo.inbox.clear()
        await garden.disconnect()
        await self.romeo.sees(JULIET, state="active", basic="closed")
        await self.watched_by_none()
        self.assertEqual(await self.watchers_written(), [])

    async def test_a_moment_without_devices_costs_no_dialog(self) -> None:
        """She changes devices: what he has of her follows, and his server hears of nothing."""
        await self.together()
        self.romeo.inbox.clear()
        self.juliet.go_offline()
        self.juliet.presence("away")
        await self.shown(balcony="away")
        with self.assertRaises(Missing):
            await self.watched_by_none(timeout_s=2)


class Directed(Journey):
    """Directed presence (RFC 6121 §4.6) through a real server."""

    async def test_to_him_who_watches_her(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.says("<show>dnd</show>", ROMEO)
        await self.romeo.sees(JULIET, show="dnd")
        self.juliet.says("", ROMEO, "unavailable")
        await self.romeo.sees(JULIET, state="active", basic="closed")
        self.juliet.presence("away")
        await self.romeo.sees(JULIET, basic="open", show="away")
        self.juliet.says("<show>xa</show>", f"{ROMEO}/orchard")
        await self.romeo.sees(JULIET, show="xa")
        await self.juliet.disconnect()
        await self.romeo.sees(JULIET, state="active", basic="closed")

    async def test_before_she_has_decided(self) -> None:
        """Is no approval, and shows him nothing: his subscription is pending."""
        await self.both()
        await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        await self.romeo.sees(JULIET, state="pending")
        self.juliet.says("<show>dnd</show>", ROMEO)
        self.juliet.says("", ROMEO, "unavailable")
        await asyncio.sleep(1)
        self.assertEqual([n.summary() for n in self.romeo.inbox.items], [])
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")

    async def test_shows_when_her_session_ends(self) -> None:
        """He may not watch her, so her server would not tell of it: to whom she has shown herself,
        it does (RFC 6121 §4.6.3), and her dialog ends with it."""
        await self.both()
        await self.juliet_watches()
        self.juliet.says("<show>dnd</show>", ROMEO)
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, show="away")
        await self.juliet.disconnect()
        await self.watch_is("dormant", 0)
        self.assertEqual(self.romeo.inbox.items, [])


class Languages(Journey):
    """Several texts, each in its language, and none is lost on the way."""

    def notes(self, body: str, tuple_id: str) -> dict[str, str]:
        part = re.search(rf'<tuple id=.{tuple_id}.>.*?</tuple>', body, re.S).group(0)
        return dict(re.findall(r"<note xml:lang=.(\w+).>([^<]*)</note>", part))

    async def test_she_says_it_in_three(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.says("<show>dnd</show><status xml:lang='en'>Wooing</status>"
                         "<status xml:lang='cs'>Ptám se</status>"
                         "<status xml:lang='de'>Ich werbe &amp; warte</status>")
        await self.romeo.sees(JULIET, show="dnd")
        chamber = await self.world.xmpp_user("juliet", "chamber")
        chamber.says("<show>xa</show><status xml:lang='it'>Dormo</status>")
        seen = await self.romeo.inbox.take("both devices", lambda n: {
            t.show for t in n.tuples} == {"xa", "dnd"})
        self.assertEqual(self.notes(seen.body, "ID-balcony"), {
            "en": "Wooing", "cs": "Ptám se", "de": "Ich werbe &amp; warte"})
        self.assertEqual(self.notes(seen.body, "ID-chamber"), {"it": "Dormo"})

    async def test_he_says_it_in_two(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo.publish_document(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>"
            "<tuple id='ID-orchard'><status><basic>open</basic>"
            "<show xmlns='jabber:client'>xa</show></status><note xml:lang='en'>In the orchard</note>"
            "<note xml:lang='it'>Nel frutteto</note></tuple></presence>")
        seen = await self.juliet.sees("available", ROMEO, show="xa")
        self.assertEqual({s.get("{http://www.w3.org/XML/1998/namespace}lang"): s.text
                          for s in seen.xml.iter("{jabber:client}status")},
                         {"en": "In the orchard", "it": "Nel frutteto"})
