"""What was agreed outlives kill -9 of the gateway and restarts of its neighbours."""

import os
import unittest

from .process import until
from .servers import GatewayOptions
from .test_presence import JULIET, ROMEO, Journey


class Faults(Journey):
    async def settle(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        self.juliet.inbox.clear()
        self.romeo.inbox.clear()

    async def flows(self) -> None:
        """Presence passes both ways, and nobody was asked again."""
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, timeout_s=40, show="away")
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, timeout_s=40, show="dnd")
        asked = [p for p in self.juliet.inbox.items if p.type in ("subscribe", "unsubscribe")]
        self.assertEqual(asked, [])
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "both")
        self.assertEqual(len(await self.subscriptions()), 2)

    async def test_gateway_killed(self) -> None:
        await self.settle()
        self.world.gateway.kill()
        await self.world.gateway.start()
        await self.flows()

    async def test_gateway_killed_while_both_change(self) -> None:
        await self.settle()
        self.world.gateway.kill()
        self.juliet.presence("xa", "while it was down")
        await self.world.gateway.start()
        await self.romeo.sees(JULIET, timeout_s=40, show="xa")
        await self.flows()

    async def test_gateway_killed_while_she_has_not_decided(self) -> None:
        await self.both()
        await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        self.world.gateway.kill()
        await self.world.gateway.start()
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, timeout_s=40, state="active", basic="open")

    async def test_gateway_killed_again_and_again(self) -> None:
        await self.settle()
        for show in ("away", "xa", "dnd", "chat"):
            self.world.gateway.kill()
            await self.world.gateway.start()
            await self.romeo.publish("open", show)
            await self.juliet.sees("available", ROMEO, timeout_s=40, show=show)
        await self.flows()

    async def test_gateway_stopped_gracefully(self) -> None:
        await self.settle()
        self.assertEqual(self.world.gateway.stop(), 0)
        await self.world.gateway.start()
        await self.flows()

    async def test_xmpp_server_restarts(self) -> None:
        await self.settle()
        self.world.xmpp.stop()
        await self.juliet.disconnect()
        await self.world.xmpp.start()
        await self.juliet.connect()
        self.juliet.presence()
        await self.juliet.sees("available", ROMEO, timeout_s=40)
        await self.flows()

    async def test_xmpp_server_killed(self) -> None:
        await self.settle()
        await self.world.xmpp.on_disk()
        self.world.xmpp.kill()
        await self.juliet.disconnect()
        await self.world.xmpp.start()
        await self.juliet.connect()
        self.juliet.presence()
        await self.juliet.sees("available", ROMEO, timeout_s=40)
        await self.flows()

    async def test_kamailio_restarts(self) -> None:
        await self.settle()
        self.world.kamailio.stop()
        await self.world.kamailio.start()
        await self.romeo.register()
        await self.flows()

    async def test_gateway_starts_before_its_neighbours(self) -> None:
        self.world.gateway.kill()
        self.world.xmpp.kill()
        self.world.gateway.child.start(self.world.gateway.argv())
        await self.world.xmpp.start()
        await until(self.world.gateway.ready, self.world.gateway.child)
        await self.settle()
        await self.flows()


class Shards(Faults):
    """The same pair and more, however many threads share the work."""

    async def several(self) -> None:
        await self.settle()
        self.nurse = await self.world.xmpp_user("nurse")
        self.benvolio = await self.world.xmpp_user("benvolio")
        for user in (self.nurse, self.benvolio):
            user.subscribe(ROMEO)
            await user.sees("subscribed", ROMEO)
            await user.sees("available", ROMEO)
            await self.romeo.subscribe(user.bare)
            await user.sees("subscribe", ROMEO)
            user.approve(ROMEO)
            await self.romeo.sees(user.bare, state="active", basic="open")

    async def all_flow(self, show: str) -> None:
        await self.romeo.publish("open", show)
        for user in (self.juliet, self.nurse, self.benvolio):
            await user.sees("available", ROMEO, timeout_s=40, show=show)
            user.presence(show)
            await self.romeo.sees(user.bare, timeout_s=40, show=show)

    async def restart_with(self, shards: int) -> None:
        self.world.gateway.kill()
        self.world.gateway.configure(GatewayOptions(shards=shards))
        await self.world.gateway.start()
        _, status = await self.world.gateway.get("/v1/status")
        self.assertEqual(status["shards"], shards)

    async def test_counts_of_shards(self) -> None:
        await self.several()
        for shards, show in ((2, "away"), (5, "dnd"), (1, "xa"), (2, "chat")):
            await self.restart_with(shards)
            await self.all_flow(show)
        self.assertEqual(len(await self.subscriptions()), 6)


class TwoShards(Shards):
    options = GatewayOptions(shards=2)


class FiveShards(Shards):
    options = GatewayOptions(shards=5)


def load_tests(loader: unittest.TestLoader, _tests: unittest.TestSuite,
               _pattern: str | None) -> unittest.TestSuite:
    """All faults with one shard; those that could tell shard counts apart with more."""
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(Faults))
    suite.addTest(Shards("test_counts_of_shards"))
    for case in (TwoShards, FiveShards):
        suite.addTest(case("test_gateway_killed"))
    return suite


if __name__ == "__main__":
    unittest.main()
