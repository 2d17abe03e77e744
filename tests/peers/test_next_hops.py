"""Next hops found by DNS (RFC 3263), with a real name server: presence flows as it does by a proxy."""

import asyncio
import re
import time
import unittest

from .process import HOST, free_ports
from .servers import GatewayOptions, Knot
from .test_presence import JULIET, ROMEO, Journey
from .world import World

T1_MS = 20  # a request that nobody answers is given up after 64 of it


class ByName(Journey):
    """A world whose gateway knows Kamailio by name only."""

    proxy = ""  # of gateway.toml

    def zone(self) -> str:
        """What example.net's zone says; {kamailio} is its port."""
        raise NotImplementedError

    async def asyncSetUp(self) -> None:
        self.world = World(self.xmpp)
        self.addAsyncCleanup(self._end)
        self.dead_port = free_ports()
        self.knot = Knot(self.world.root, self.zone())
        self.addCleanup(self.knot.kill)
        listen = [f"{kind}:{HOST}:{self.world.gateway.listen_port}" for kind in ("udp", "tcp")]
        self.world.gateway.configure(GatewayOptions(extra={"sip": {
            "listen": listen, "proxy": self.proxy.format(port=self.world.kamailio.port),
            "dns_servers": [f"{HOST}:{self.knot.port}"], "t1_ms": T1_MS}}))
        await self.start()

    async def start(self) -> None:
        await self.knot.start()
        await self.world.start()

    @property
    def port(self) -> int:
        return self.world.kamailio.port

    async def metric(self, name: str) -> float:
        status, text = await self.world.gateway.get("/metrics")
        self.assertEqual(status, 200)
        found = re.findall(rf"^isthmus_{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        self.assertTrue(found, name)
        return sum(map(float, found))

    async def both_ways(self) -> None:
        """Each sees the other, and a change of the other's."""
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        await self.romeo.publish("open", "dnd")
        await self.juliet.sees("available", ROMEO, show="dnd")
        self.juliet.presence(show="away")
        await self.romeo.sees(JULIET, basic="open", show="away")
        self.assertGreaterEqual(await self.metric("resolver_lookups_total"), 1)
        self.assertEqual(await self.metric("resolver_failures_total"), 0)


class ByNaptr(ByName):
    """NAPTR, SRV, A: all that a provider's zone should have."""

    def zone(self) -> str:
        return ('@ NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp\n'
                f"_sip._udp SRV 10 0 {self.port} sip\nsip A {HOST}\n")

    async def test_presence(self) -> None:
        await self.both_ways()


class BySrv(ByName):
    """SRV alone, its target an alias; there is no A for the domain itself."""

    def zone(self) -> str:
        return f"_sip._udp SRV 10 0 {self.port} sip\nsip CNAME host\nhost A {HOST}\n"

    async def test_presence(self) -> None:
        await self.both_ways()


class ByTcp(ByName):
    """Only TCP is offered."""

    def zone(self) -> str:
        return f"_sip._tcp SRV 10 0 {self.port} sip\nsip A {HOST}\n"

    async def test_presence(self) -> None:
        await self.both_ways()
        self.assertGreaterEqual(await self.metric("sip_connections_connected_total"), 1)


class ProxyByName(ByName):
    """A proxy with a port has only its address looked up."""

    proxy = "sip:proxy.example.net:{port}"

    def zone(self) -> str:
        return f"proxy A {HOST}\n_sip._udp.proxy SRV 10 0 {self.dead_port} proxy\n"

    async def test_presence(self) -> None:
        await self.both_ways()


class DeadTarget(ByName):
    """The target of the lowest priority answers nothing: the next one is taken (RFC 3263 §4.3)."""

    def zone(self) -> str:
        return (f"_sip._udp SRV 10 0 {self.dead_port} sip\n"
                f"_sip._udp SRV 20 0 {self.port} sip\nsip A {HOST}\n")

    async def test_fails_over(self) -> None:
        await self.both_ways()
        self.assertGreaterEqual(await self.metric("failovers_total"), 1)

    async def test_remembers_the_dead(self) -> None:
        await self.both()
        await self.juliet_watches()
        failovers = await self.metric("failovers_total")
        self.assertGreaterEqual(failovers, 1)
        self.juliet.subscribe("benvolio@example.net")
        benvolio = await self.world.sip_user("benvolio")
        await benvolio.publish("open")
        await self.juliet.sees("available", "benvolio@example.net")
        self.assertEqual(await self.metric("failovers_total"), failovers)


class DeadTargetOverTcp(ByName):
    """A connection that is refused is known to be so at once."""

    def zone(self) -> str:
        return (f"_sip._tcp SRV 10 0 {self.dead_port} sip\n"
                f"_sip._tcp SRV 20 0 {self.port} sip\nsip A {HOST}\n")

    async def test_fails_over(self) -> None:
        await self.both()
        begun = time.monotonic()
        await self.juliet_watches()
        self.assertLess(time.monotonic() - begun, 5)
        self.assertGreaterEqual(await self.metric("sip_connections_connect_failures_total"), 1)


class NamesComeLate(ByName):
    """No name server at first: nothing is lost, and all goes on once there is one."""

    def zone(self) -> str:
        return f"_sip._udp SRV 10 0 {self.port} sip\nsip A {HOST}\n"

    async def start(self) -> None:
        await self.world.start()

    async def test_goes_on(self) -> None:
        await self.both()
        self.juliet.subscribe(ROMEO)
        while not await self.metric("resolver_failures_total"):
            await asyncio.sleep(0.1)
        self.assertEqual([s["state"] for s in await self.subscriptions()], ["pending"])
        await self.knot.start()
        await self.juliet.sees("subscribed", ROMEO, timeout_s=60)
        await self.juliet.sees("available", ROMEO)


if __name__ == "__main__":
    unittest.main()
