"""A SIP client that is not ours: baresip watches juliet, and she watches it.

baresip subscribes to its contacts, publishes open, and tells over its control port whom it sees
online. It cannot be told to change its state or to end a subscription without a keyboard, and it
knows no approval; that is why the other tests have a user agent of their own.
"""

import asyncio
import json
import os
import shutil
import time
import unittest

from .inbox import Missing
from .process import HOST, Child, accepts, free_ports, until
from .test_presence import JULIET, ROMEO, Journey

BARESIP = os.environ.get("BARESIP", "baresip")
MODULES = os.environ.get("BARESIP_MODULES", "/usr/lib/baresip/modules")


class Baresip:
    def __init__(self, root, proxy_port: int):
        self.dir = root / "baresip"
        self.dir.mkdir()
        self.child = Child("baresip", self.dir / "baresip.log")
        self.control = free_ports()
        self._configure(proxy_port, free_ports())

    def _configure(self, proxy_port: int, port: int) -> None:
        modules = "".join(f"module_app {name}.so\n"
                          for name in ("account", "contact", "presence", "menu", "ctrl_tcp"))
        (self.dir / "config").write_text(
            f"sip_listen {HOST}:{port}\nnet_interface {HOST}\nmodule_path {MODULES}\n"
            f"module g711.so\n{modules}ctrl_tcp_listen {HOST}:{self.control}\n")
        (self.dir / "accounts").write_text(
            f'<sip:{ROMEO};transport=udp>;auth_pass=none;regint=600;pubint=600;'
            f'outbound="sip:{HOST}:{proxy_port};transport=udp"\n')
        (self.dir / "contacts").write_text(f'"Juliet" <sip:{JULIET}>;presence=p2p\n')

    async def start(self) -> None:
        self.child.start([BARESIP, "-f", str(self.dir), "-v", "-s"])
        await until(lambda: accepts(self.control), self.child)

    async def command(self, name: str) -> str:
        reader, writer = await asyncio.open_connection(HOST, self.control)
        body = json.dumps({"command": name, "params": "", "token": "1"})
        writer.write(f"{len(body)}:{body},".encode())
        answer = (await asyncio.wait_for(reader.read(65536), 5)).decode()
        writer.close()
        return json.loads(answer.partition(":")[2].rstrip(","))["data"]

    async def sees(self, status: str, timeout_s: float = 15) -> None:
        deadline = time.monotonic() + timeout_s
        while status not in (seen := await self.command("contacts")):
            if time.monotonic() > deadline:
                raise Missing(f"baresip does not see juliet {status}: {seen}")
            await asyncio.sleep(0.1)


@unittest.skipUnless(shutil.which(BARESIP), "baresip is not installed")
class BaresipTest(Journey):
    async def test_both_ways(self) -> None:
        juliet = await self.world.xmpp_user("juliet")
        baresip = Baresip(self.world.root, self.world.kamailio.port)
        self.addCleanup(baresip.child.kill)
        await baresip.start()
        await juliet.sees("subscribe", ROMEO)
        juliet.approve(ROMEO)
        await baresip.sees("Online")
        juliet.subscribe(ROMEO)
        await juliet.sees("subscribed", ROMEO)
        await juliet.sees("available", ROMEO)
        juliet.go_offline()
        await baresip.sees("Offline")
        juliet.presence()
        await baresip.sees("Online")


if __name__ == "__main__":
    unittest.main()
