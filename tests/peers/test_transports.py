"""Presence between Prosody and Kamailio with TCP and TLS between Kamailio and the gateway."""

import asyncio
import unittest

from .process import HOST
from .servers import GatewayOptions, Server
from .test_presence import JULIET, ROMEO, Journey


class Stream(Journey):
    """The gateway's proxy and its listen port speak `transport`."""

    certificate = "gateway"

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.world.gateway.kill()  # it was started with UDP
        self.world.gateway.configure(GatewayOptions(extra={"sip": self.sip(), **self.tls()}))
        await self.world.gateway.start()

    def sip(self) -> dict[str, object]:
        kamailio = self.world.kamailio
        port = kamailio.tls_port if self.transport == "tls" else kamailio.port
        return {"listen": [f"{kind}:{HOST}:{kamailio.gateway_port}"
                           for kind in ("udp", self.transport)],
                "proxy": f"sip:{HOST}:{port};transport={self.transport}"}

    def tls(self) -> dict[str, dict[str, object]]:
        if self.transport != "tls":
            return {}
        certificates = self.world.kamailio.certificates
        return {"sip.tls": {"certificate": str(certificates.chain(self.certificate)),
                            "private_key": str(certificates.key(self.certificate)),
                            "ca": str(certificates.ca), "verify_client": True}}

    async def connections(self) -> int:
        """To and from the gateway, as it counts them itself."""
        _, text = await self.world.gateway.get("/metrics")
        return sum(int(float(line.split()[-1])) for line in text.splitlines()
                   if line.startswith(("isthmus_sip_connections{", "isthmus_sip_connections ")))

    async def flows(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        await self.romeo.publish("open", "away", "over there")
        await self.juliet.sees("available", ROMEO, show="away", status="over there")
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd")
        await self.dialog.subscribe()
        await self.romeo.sees(JULIET, show="dnd")

    async def passes(self, show: str) -> None:
        """A change of each is seen by the other, and nobody was asked again."""
        await self.romeo.publish("open", show)
        await self.juliet.sees("available", ROMEO, show=show, timeout_s=40)
        self.juliet.presence(show)
        await self.romeo.sees(JULIET, show=show, timeout_s=40)
        self.assertEqual([p for p in self.juliet.inbox.items if p.type == "subscribe"], [])
        self.assertEqual(len(await self.subscriptions()), 2)

    async def all_restart(self) -> None:
        """The gateway and the XMPP server, killed; and all three at once."""
        await self.flows()
        self.world.gateway.kill()
        await self.world.gateway.start()
        await self.passes("xa")
        await self._restart(self.world.xmpp)
        await self.passes("chat")
        await self._restart(self.world.xmpp, self.world.gateway, self.world.kamailio)
        await self.romeo.register()
        await self.passes("away")

    async def _restart(self, *servers: Server) -> None:
        await self.world.xmpp.on_disk()
        for server in servers:
            server.stop() if server is self.world.kamailio else server.kill()
        await self.juliet.disconnect()
        for server in servers:
            await server.start()
        await self.juliet.connect()
        self.juliet.presence()

    async def reconnects(self) -> None:
        """Kamailio restarts: connections are lost, dialogs are not."""
        self.world.kamailio.stop()
        await self.world.kamailio.start()
        await self.romeo.register()
        self.juliet.presence("xa")
        await self.romeo.sees(JULIET, show="xa", timeout_s=40)


class Tcp(Stream):
    transport = "tcp"

    async def test_presence(self) -> None:
        await self.flows()
        self.assertGreater(await self.connections(), 0)
        await self.reconnects()

    async def test_restarts(self) -> None:
        await self.all_restart()

    async def test_big_documents(self) -> None:
        """Nothing has to fit into a datagram."""
        await self.both()
        await self.romeo_watches()
        self.juliet.presence("away", "w" * 4000)
        await self.romeo.sees(JULIET, note="w" * 4000)


class Tls(Stream):
    transport = "tls"

    async def test_presence(self) -> None:
        await self.flows()
        self.assertGreater(await self.connections(), 0)
        await self.reconnects()

    async def test_restarts(self) -> None:
        await self.all_restart()


class TlsOfAStranger(Stream):
    """The gateway's certificate is not of the authority that Kamailio trusts."""

    transport = "tls"
    certificate = "stranger"

    async def test_nothing_passes(self) -> None:
        await self.both()
        self.juliet.subscribe(ROMEO)
        await asyncio.sleep(3)
        self.assertEqual(self.juliet.inbox.items, [])


class BigOverUdp(Journey):
    """The proxy speaks UDP and TCP at one port: what is too big for a datagram goes over TCP."""

    async def test_switches(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.presence("away", "w" * 3000)
        await self.romeo.sees(JULIET, note="w" * 3000)
        _, text = await self.world.gateway.get("/metrics")
        switched = [line for line in text.splitlines() if line.startswith("isthmus_tcp_switches")]
        self.assertTrue(any(not line.endswith(" 0") for line in switched), switched)


if __name__ == "__main__":
    unittest.main()
