"""What a SIP user's agent may ask for besides: watcher information (RFC 3857), conditional
notification (RFC 5839), rates (RFC 6446); through a real proxy, of a user of a real server."""

import asyncio
import time
from xml.etree import ElementTree

from .sip_user import Notification
from .test_presence import JULIET, ROMEO, Journey

WATCHERINFO = "{urn:ietf:params:xml:ns:watcherinfo}"


class Watchers(Journey):
    """romeo's agent shows him how his subscription to juliet stands."""

    async def told(self, status: str, event: str, state: str = "active") -> ElementTree.Element:
        """The next winfo document: one watcher, himself, as RFC 3858 §3.2 has it."""
        seen = await self.romeo.inbox.take(f"winfo {status}", lambda n: (
            n.event == "presence.winfo" and n.sender == JULIET))
        self.assertEqual(seen.state, state)
        root = ElementTree.fromstring(seen.body)
        version = int(root.get("version"))
        self.assertGreater(version, self.version)
        self.version = version
        self.assertEqual(root.get("state"), "full")
        watchers, = root
        self.assertEqual((watchers.get("resource"), watchers.get("package")),
                         (f"sip:{JULIET}", "presence"))
        watcher, = watchers
        self.assertEqual((watcher.text, watcher.get("status"), watcher.get("event")),
                         (f"sip:{ROMEO}", status, event))
        return watcher

    async def asks(self) -> None:
        self.version = -1
        await self.both()
        self.dialog = await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        await self.romeo.subscribe(JULIET, "presence.winfo")
        self.pending = await self.told("pending", "subscribe")

    async def test_from_pending_to_terminated(self) -> None:
        await self.asks()
        self.juliet.approve(ROMEO)
        active = await self.told("active", "approved")
        self.assertEqual(active.get("id"), self.pending.get("id"))
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd")
        self.juliet.reject(ROMEO)
        ended = await self.told("terminated", "rejected", state="terminated")
        self.assertEqual(ended.get("id"), self.pending.get("id"))


class Conditions(Journey):
    """He has it already: nothing is sent again."""

    async def test_refresh_of_what_he_has(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.presence("away")
        has = await self.romeo.sees(JULIET, show="away")
        self.romeo.inbox.clear()
        self.dialog.more = {"Suppress-If-Match": has.etag}
        answer = await self.dialog.subscribe()
        self.assertEqual(answer.status, 204)
        await asyncio.sleep(0.5)
        self.assertEqual([n.summary() for n in self.romeo.inbox.items], [])
        self.juliet.presence("dnd")
        new = await self.romeo.sees(JULIET, show="dnd")
        self.assertNotEqual(new.etag, has.etag)
        answer = await self.dialog.subscribe()  # with the old tag
        self.assertEqual(answer.status, 200)
        await self.romeo.sees(JULIET, state="active", show="dnd")

    async def test_another_dialog_for_what_he_has(self) -> None:
        """Back after his network was gone: one SUBSCRIBE, no document (RFC 5839 §6.2)."""
        await self.both()
        await self.romeo_watches()
        self.juliet.presence("away")
        has = await self.romeo.sees(JULIET, show="away")
        self.dialog.abandon()
        self.romeo.inbox.clear()
        await self.romeo.subscribe(JULIET, more={"Suppress-If-Match": has.etag})
        seen = await self.romeo.sees(JULIET, state="active")
        self.assertEqual((seen.body, seen.etag), ("", has.etag))


class Rates(Journey):
    async def test_no_more_than_he_wants(self) -> None:
        """max-rate: what comes in between is left out, and the newest wins (RFC 6446 §5)."""
        await self.both()
        dialog = await self.romeo.subscribe(JULIET, more={"Event": "presence;max-rate=0.5"})
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        self.juliet.presence("away")
        first = await self._shows("away")
        self.romeo.inbox.clear()
        for show in ("xa", "chat", "dnd"):
            self.juliet.presence(show)
        self.assertGreater(await self._shows("dnd") - first, 1.8)
        self.assertEqual([n.summary() for n in self.romeo.inbox.items], [])
        dialog.more = {}
        await dialog.subscribe()  # and so any rate again
        await self._shows("dnd")
        begun = time.monotonic()
        for show in ("away", "xa"):
            self.juliet.presence(show)
            await self._shows(show)
        self.assertLess(time.monotonic() - begun, 1.5)

    async def _shows(self, show: str) -> float:
        def fits(n: Notification) -> bool:
            return n.sender == JULIET and n.show == show

        await self.romeo.inbox.take(show, fits)
        return time.monotonic()
