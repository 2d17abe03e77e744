"""What her client learns of a SIP user by itself, and what she may ask, by a client's own means
(XEP-0030, 0115, 0054, 0092, 0012, 0199, 0202)."""

import ast
import asyncio
import re
from pathlib import Path
from xml.etree import ElementTree

from slixmpp.exceptions import IqError

from .servers import REPO
from .test_presence import JULIET, ROMEO, Journey
from .xmpp_user import XmppUser

PLUGINS = ("xep_0030", "xep_0115", "xep_0054", "xep_0092", "xep_0012", "xep_0199", "xep_0202")
DEVICE = f"{ROMEO}/SID-f4649f87-1aa3-44ec-ab49-d0464528d706"
NICK = "{http://jabber.org/protocol/nick}nick"


def blink(entity: str) -> str:
    """The document that Blink's description of presence shows, as of this user."""
    text = (REPO / "tests" / "unit" / "pidf_examples.h").read_text()
    define = re.search(r"#define BLINK \\\n((?:.*\\\n)*.*)", text).group(1)
    document = "".join(ast.literal_eval(part) for part in
                       re.findall(r'"(?:[^"\\]|\\.)*"', define)).strip()
    return document.replace("ag%40test.sip2sip.info", entity.replace("@", "%40")).replace(
        "ag@test.sip2sip.info", entity)


class Client(Journey):
    async def client(self, name: str) -> XmppUser:
        user = await self.world.xmpp_user(name, online=False)
        await user.connect()
        for plugin in PLUGINS:
            user.client.register_plugin(plugin)
        user.presence()
        return user

    async def both(self) -> None:
        self.juliet = await self.client("juliet")
        self.romeo = await self.world.sip_user("romeo")
        await self.romeo.publish("open")

    def plugin(self, name: str, user: XmppUser | None = None):
        return (user or self.juliet).client[name]

    async def refused(self, answer, condition: str) -> None:
        with self.assertRaises(IqError) as caught:
            await answer
        self.assertEqual(caught.exception.condition, condition)


class Manners(Client):
    async def test_service_discovery(self) -> None:
        await self.both()
        await self.juliet_watches()
        for jid, identity, feature in (
                ("example.net", ("gateway", "sip"), "jabber:iq:version"),
                (ROMEO, ("account", "registered"), "vcard-temp"),
                (f"{ROMEO}/orchard", ("client", "phone"), "http://jabber.org/protocol/caps")):
            info = (await self.plugin("xep_0030").get_info(jid, timeout=10))["disco_info"]
            self.assertIn(identity, {i[:2] for i in info["identities"]}, jid)
            self.assertIn(feature, info["features"], jid)
            self.assertIn("urn:xmpp:ping", info["features"], jid)
            items = (await self.plugin("xep_0030").get_items(jid, timeout=10))["disco_items"]
            self.assertEqual(len(items["items"]), 0, jid)
            self.assertIsInstance(await self.plugin("xep_0199").ping(jid, timeout=10), float)
        await self._capabilities_are_verified()
        await self._software_of_the_gateway()

    async def _capabilities_are_verified(self) -> None:
        """Her client asks once what the hash in his presence stands for, and finds it right."""
        caps = self.plugin("xep_0115")
        for _ in range(50):
            version = await caps.get_verstring(f"{ROMEO}/orchard")
            info = await caps.get_caps(verstring=version) if version else None
            if info:
                break
            await asyncio.sleep(0.1)
        self.assertIn("http://jabber.org/protocol/mood+notify", info["features"])

    async def _software_of_the_gateway(self) -> None:
        version = (await self.plugin("xep_0092").get_version("example.net", timeout=10))[
            "software_version"]
        self.assertEqual(version["name"], "Isthmus")
        last = await self.plugin("xep_0012").get_last_activity("example.net", timeout=10)
        self.assertLess(int(last["last_activity"]["seconds"]), 60)

    async def test_a_stranger_learns_nothing(self) -> None:
        """The same, whether there is such a user or not."""
        await self.both()
        await self.juliet_watches()
        nurse = await self.client("nurse")
        for who in (ROMEO, "nobody@example.net"):
            await self.refused(self.plugin("xep_0054", nurse).get_vcard(who, timeout=10),
                               "service-unavailable")
            await self.refused(self.plugin("xep_0012", nurse).get_last_activity(who, timeout=10),
                               "service-unavailable")
            await self.refused(self.plugin("xep_0092", nurse).get_version(
                f"{who}/orchard", timeout=10), "service-unavailable")


class Blink(Client):
    """Blink's rich document, published at a real presence server."""

    async def test_what_she_sees_of_him(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo.publish_document(blink(ROMEO))
        seen = await self.juliet.sees("available", DEVICE, show="away")
        self.assertEqual(seen.xml.findtext(NICK), "Adrian Georgescu")
        self.assertEqual(seen.status, "")
        self.assertEqual(seen.xml.find("{urn:xmpp:delay}delay").get("stamp"),
                         "2012-09-21T10:53:57.802Z")
        await self._asks()

    async def _asks(self) -> None:
        card = (await self.plugin("xep_0054").get_vcard(ROMEO, timeout=10))["vcard_temp"]
        told = {e.tag.rpartition("}")[2]: e.text for e in card.xml.iter() if e.text}
        self.assertEqual(told["FN"], "Adrian Georgescu")
        self.assertEqual(told["URL"], "http://georgescu.info")
        self.assertRegex(told["EXTVAL"], r"^https://xcap\.test\.sipthor\.net/.*/sip:romeo@exa")
        answer = await self.plugin("xep_0092").get_version(DEVICE, timeout=10)
        version = answer["software_version"]
        self.assertEqual((version["name"], version["version"]), ("Blink Pro", "2.0.0 (MacOSX)"))
        time = await self.plugin("xep_0202").get_entity_time(DEVICE, timeout=10)
        self.assertIn("+02:00", ElementTree.tostring(time.xml).decode())
        last = await self.plugin("xep_0012").get_last_activity(ROMEO, timeout=10)
        self.assertEqual(int(last["last_activity"]["seconds"]), 0)

    async def test_beside_a_plain_device(self) -> None:
        """Kamailio makes one document of both devices, and she sees each as it is."""
        await self.both()
        await self.juliet_watches()
        blink_device = await self.world.sip_user("romeo", "blink")
        await blink_device.publish_document(blink(ROMEO))
        await self.juliet.sees("available", DEVICE, show="away")
        await self.romeo.publish("open", "dnd", "in the orchard")
        seen = await self.juliet.sees("available", f"{ROMEO}/orchard", show="dnd")
        self.assertEqual(seen.status, "in the orchard")
        self.assertIsNone(seen.xml.find(NICK))
        await blink_device.unpublish()
        await self.juliet.sees("unavailable", DEVICE)
        self.assertIn(f"{ROMEO}/orchard", self.juliet.contacts)
