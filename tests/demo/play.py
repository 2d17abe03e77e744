"""The play: juliet (XMPP) and romeo (SIP) find each other; every step is expected on both sides."""

import asyncio
import time
from dataclasses import dataclass
from typing import Awaitable, Callable

from peers.process import NotReady
from peers.servers import SIP_DOMAIN, XMPP_DOMAIN
from peers.sip_message import bare_uri
from peers.sip_user import SipUser, Subscription
from peers.world import World
from peers.xmpp_user import XmppUser

from .screen import Screen

JULIET, ROMEO = f"juliet@{XMPP_DOMAIN}", f"romeo@{SIP_DOMAIN}"
STEP_S = 15.0
FOREVER_S = 365 * 86400.0


@dataclass
class Step:
    """One line of the checklist."""

    text: str
    seconds: float | None = None  # None: not seen


class Play:
    def __init__(self, world: World, screen: Screen, pause_s: float = 0.0):
        self.world, self.screen, self.pause_s = world, screen, pause_s
        self.steps: list[Step] = []
        self.juliet: XmppUser
        self.romeo: SipUser
        self.dialog: Subscription

    async def step(self, text: str, action: Awaitable[object] | None,
                   *expected: Awaitable[object]) -> None:
        """Does `action`, then everything `expected` has to be seen within STEP_S."""
        step = Step(text)
        self.steps.append(step)
        for user in (self.juliet, self.romeo):
            user.inbox.clear()  # what came before proves nothing
        began = time.monotonic()
        waiting = asyncio.gather(*expected)
        try:
            if action is not None:
                await action
            await asyncio.wait_for(waiting, STEP_S + 5)
        finally:
            waiting.cancel()
        step.seconds = time.monotonic() - began
        await asyncio.sleep(self.pause_s)  # for the eye; nothing waits for it

    @staticmethod
    async def do(call: Callable[..., object], *args: str) -> None:
        call(*args)

    async def exchange(self) -> None:
        await self.opening()
        await self.juliet_asks()
        await self.romeo_asks()
        await self.juliet_changes()
        await self.romeo_changes()
        await self.juliet_leaves_and_returns()

    async def opening(self) -> None:
        self.screen.title("Both come online")
        self.juliet = await self.world.xmpp_user("juliet", online=False)
        self.romeo = await self.world.sip_user("romeo")
        await self.step("romeo registers, publishes that he is open, and asks who watches him",
                        self._romeo_opens(), self.romeo.sees(ROMEO, state="active"))
        await self.step("juliet logs in", self._juliet_opens())

    async def _romeo_opens(self) -> None:
        await self.romeo.publish("open")
        await self.romeo.watchers()

    async def _juliet_opens(self) -> None:
        await self.juliet.connect()
        self.juliet.presence()

    async def juliet_asks(self) -> None:
        self.screen.title("juliet wants to see romeo (RFC 8048 §5.2.1)")
        await self.step("juliet's subscribe reaches romeo, who is asked about her",
                        self.do(self.juliet.subscribe, ROMEO),
                        self.romeo.sees_watcher(JULIET, "pending"))
        await self.step("romeo allows her: juliet gets subscribed, then his presence",
                        self.romeo.set_rules([JULIET]),
                        self.juliet.sees("subscribed", ROMEO),
                        self.juliet.sees("available", f"{ROMEO}/orchard"))

    async def romeo_asks(self) -> None:
        self.screen.title("romeo wants to see juliet (RFC 8048 §5.3.1)")
        await self.step("romeo's SUBSCRIBE reaches juliet; until she answers he is told pending",
                        self._romeo_subscribes(), self.juliet.sees("subscribe", ROMEO),
                        self.romeo.sees(JULIET, state="pending"))
        await self.step("juliet approves: romeo is told active, and that she is open",
                        self.do(self.juliet.approve, ROMEO),
                        self.romeo.sees(JULIET, state="active", basic="open"))

    async def _romeo_subscribes(self) -> None:
        self.dialog = await self.romeo.subscribe(JULIET)

    async def juliet_changes(self) -> None:
        self.screen.title("juliet changes her presence (RFC 8048 §6.2)")
        await self._juliet_says("away", "on the balcony")
        await self._juliet_says("dnd", "")
        await self._juliet_says("", "")

    async def _juliet_says(self, show: str, note: str) -> None:
        await self.step(f"juliet is {show or 'back'}: romeo sees it",
                        self.do(self.juliet.presence, show, note),
                        self.romeo.sees(JULIET, state="active", basic="open", show=show, note=note))

    async def romeo_changes(self) -> None:
        self.screen.title("romeo changes his presence (RFC 8048 §6.3)")
        await self._romeo_says("away", "in the orchard")
        await self._romeo_says("dnd", "")
        await self._romeo_says("", "")
        await self.step("romeo is closed: juliet sees unavailable", self.romeo.publish("closed"),
                        self.juliet.sees("unavailable", ROMEO))
        await self._romeo_says("", "open again")

    async def _romeo_says(self, show: str, note: str) -> None:
        await self.step(f"romeo is {show or note or 'back'}: juliet sees it",
                        self.romeo.publish("open", show, note),
                        self.juliet.sees("available", ROMEO, show=show, status=note))

    async def juliet_leaves_and_returns(self) -> None:
        self.screen.title("juliet leaves and comes back; nobody has to ask again")
        await self.step("juliet is unavailable: romeo sees closed",
                        self.do(self.juliet.go_offline),
                        self.romeo.sees(JULIET, state="active", basic="closed"))
        await self.step("juliet is back: romeo sees open, and she sees him",
                        self.do(self.juliet.presence),
                        self.romeo.sees(JULIET, state="active", basic="open"),
                        self.juliet.sees("available", ROMEO))

    async def farewell(self) -> None:
        self.screen.title("They part (RFC 8048 §5.3.3, §5.2.3)")
        await self.step("romeo ends his subscription: he is told terminated, she unavailable",
                        self.dialog.end(),
                        self.romeo.sees(JULIET, state="terminated", reason="timeout",
                                        basic="closed"),
                        self.juliet.sees("unavailable", ROMEO))
        await self.step("juliet unsubscribes: romeo's list of watchers is without her",
                        self.do(self.juliet.unsubscribe, ROMEO),
                        self.juliet.sees("unavailable", ROMEO),
                        self._watcher_gone())

    async def _watcher_gone(self) -> None:
        await self.romeo.inbox.take(
            f"watcher {JULIET} gone",
            lambda n: n.event == "presence.winfo" and
            n.watchers.get(f"sip:{JULIET}", "terminated") == "terminated", STEP_S)

    async def live_on(self) -> None:
        """They stay online, show a sign of life now and then and let in whoever asks."""
        await asyncio.gather(self._change_moods(), self._let_in_xmpp(), self._let_in_sip(),
                             self._watch_servers())

    async def _change_moods(self) -> None:
        moods = [("away", "gone for a walk"), ("dnd", ""), ("", ""), ("xa", "asleep"), ("", "")]
        while True:
            for show, note in moods:
                await asyncio.sleep(20)
                self.juliet.presence(show, note)
                await asyncio.sleep(20)
                await self.romeo.publish("open", show, note)

    async def _let_in_xmpp(self) -> None:
        """juliet approves everybody."""
        while True:
            asked = await self.juliet.inbox.take("anything", lambda _: True, FOREVER_S)
            if asked.type == "subscribe":
                self.juliet.approve(asked.sender)

    async def _let_in_sip(self) -> None:
        """romeo allows everybody."""
        allowed = {JULIET}
        while True:
            seen = await self.romeo.inbox.take("anything", lambda _: True, FOREVER_S)
            pending = {bare_uri(uri) for uri, status in seen.watchers.items()
                       if status == "pending"}
            if pending - allowed:
                allowed |= pending
                await self.romeo.set_rules(sorted(allowed))

    async def _watch_servers(self) -> None:
        while True:
            await asyncio.sleep(1)
            for server in (self.world.xmpp, self.world.kamailio, self.world.gateway):
                if not server.child.alive:
                    raise NotReady(f"{server.name} has ended; {server.child.log}:\n"
                                   f"{server.child.log_tail()}")
