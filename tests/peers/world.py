"""A whole small world: an XMPP server, Kamailio, the gateway between them, and users on both sides."""

import shutil
import tempfile
import unittest
from pathlib import Path

from .inbox import Trace, untraced
from .servers import (Ejabberd, EjabberdPep, Gateway, GatewayOptions, Kamailio, Prosody,
                      ProsodyPep, XmppServer)
from .sip_user import SipUser
from .xmpp_user import XmppUser

SERVERS: dict[str, type[XmppServer]] = {"prosody": Prosody, "ejabberd": Ejabberd,
                                       "prosody_pep": ProsodyPep, "ejabberd_pep": EjabberdPep}


class World:
    """start() brings everything up, stop() ends it; `root` holds all state and logs."""

    def __init__(self, xmpp: str = "prosody", ask: bool = False,
                 options: GatewayOptions | None = None, trace: Trace = untraced,
                 transport: str = "udp"):
        self.root = Path(tempfile.mkdtemp(prefix="isthmus-"))
        self.trace = trace
        self.xmpp = SERVERS[xmpp](self.root)
        self.kamailio = Kamailio(self.root, ask, transport)
        self.gateway = Gateway(self.root, self.xmpp.component_port, self.kamailio.port,
                               self.kamailio.gateway_port, options)
        self.xmpp_users: list[XmppUser] = []
        self.sip_users: list[SipUser] = []

    async def start(self) -> None:
        await self.xmpp.start()
        await self.kamailio.start()
        await self.gateway.start()

    async def stop(self) -> None:
        for user in self.sip_users:
            user.close()
        for user in self.xmpp_users:
            await user.disconnect()
        for server in (self.gateway, self.kamailio, self.xmpp):
            server.kill()

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    async def xmpp_user(self, name: str, resource: str = "balcony", online: bool = True) -> XmppUser:
        user = XmppUser(name, self.xmpp.c2s_port, self.trace, resource)
        self.xmpp_users.append(user)
        if online:
            await user.connect()
            user.presence()
        return user

    async def sip_user(self, name: str, device: str = "orchard") -> SipUser:
        user = SipUser(name, self.kamailio.port, self.trace, device)
        self.sip_users.append(user)
        await user.start()
        await user.register()
        return user


class WorldTest(unittest.IsolatedAsyncioTestCase):
    """A fresh world for each test; its folder is kept, and named, when the test fails."""

    xmpp = "prosody"
    ask = False
    transport = "udp"
    options = GatewayOptions()

    async def asyncSetUp(self) -> None:
        self.world = World(self.xmpp, self.ask, self.options, transport=self.transport)
        self.addAsyncCleanup(self._end)
        await self.world.start()

    async def _end(self) -> None:
        await self.world.stop()
        if self._failed():
            print(f"\n{self.id()}: logs in {self.world.root}", flush=True)
        else:
            self.world.remove()

    def _failed(self) -> bool:
        result = self._outcome.result
        return any(test is self for test, _ in [*result.failures, *result.errors]) \
            or not self._outcome.success
