"""Dialogs live on by refreshes, and never without the XMPP server's share (RFC 8048 §5.2.2, §8.1)."""

import asyncio
import unittest

from .servers import GatewayOptions
from .test_presence import JULIET, ROMEO, Journey

EXPIRES_S = 6
BRIEF = {"subscription": {"min_expires_s": 1}, "probe": {"timeout_s": 2, "window_s": 0}}


class Refresh(Journey):
    options = GatewayOptions(expires_s=EXPIRES_S, extra=BRIEF)

    async def metric(self, name: str) -> int:
        _, text = await self.world.gateway.get("/metrics")
        return sum(int(line.split()[-1]) for line in text.splitlines()
                   if line.startswith(f"isthmus_{name}{{") or line.startswith(f"isthmus_{name} "))

    async def eventually(self, name: str, least: int, timeout_s: int = 30) -> None:
        for _ in range(timeout_s * 10):
            if await self.metric(name) >= least:
                return
            await self.tick()
        self.fail(f"{name} stays below {least}")

    @staticmethod
    async def tick() -> None:
        await asyncio.sleep(0.1)

    async def test_watch_dialog_is_probed_for_and_refreshed(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.eventually("refreshes_total", 3)
        self.assertGreaterEqual(await self.metric("probes_total"), 3)
        self.assertGreaterEqual(await self.metric("fences_total"), 3)
        await self.romeo.publish("open", "dnd")
        await self.juliet.sees("available", ROMEO, show="dnd")
        self.assertEqual(len(await self.subscriptions()), 1)

    async def test_without_the_xmpp_server_no_refresh(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo.watchers()
        self.world.xmpp.kill()
        before = await self.metric("refreshes_total")
        for _ in range(2 * EXPIRES_S * 10):
            await self.tick()
        self.assertEqual(await self.metric("refreshes_total"), before)
        await self.juliet.disconnect()
        await self.world.xmpp.start()
        await self.juliet.connect()
        self.juliet.presence()
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, timeout_s=40, show="away")

    async def test_proxy_killed(self) -> None:
        """It forgets dialogs that it had not written; the next refresh opens them anew."""
        await self.both()
        await self.juliet_watches()
        self.world.kamailio.kill()
        await self.world.kamailio.start()
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, timeout_s=40, show="away")
        await self.romeo.publish("open", "dnd")
        await self.juliet.sees("available", ROMEO, show="dnd")

    async def test_sip_dialog_expires_and_she_is_told(self) -> None:
        await self.both()
        brief = await self.romeo.subscribe(JULIET, expires_s=4)
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        brief.abandon()
        self.juliet.inbox.clear()
        await self.juliet.sees("unavailable", ROMEO, timeout_s=20)
        await self.romeo.subscribe(JULIET)
        await self.romeo.sees(JULIET, state="active", basic="open")

    async def test_serve_dialog_lives_on(self) -> None:
        await self.both()
        dialog = await self.romeo.subscribe(JULIET, expires_s=4)
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        first = dialog.call_id
        while dialog.cseq < 5:
            await self.tick()
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, state="active", show="dnd")
        self.assertEqual(dialog.call_id, first)


if __name__ == "__main__":
    unittest.main()
