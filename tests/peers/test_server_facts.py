"""What the XMPP servers answer an external component: the facts that the gateway builds on.

The gateway is not part of this; a bare component asks. A test that fails here means that the table
in README.md, and perhaps the gateway, has to change.
"""

import tempfile
import unittest
from pathlib import Path

from .component import Component, brief
from .servers import GATEWAY_DOMAIN, SIP_DOMAIN, Ejabberd, Prosody
from .xmpp_user import XmppUser

JULIET, ROMEO = "juliet@example.com", "romeo@example.net"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


def presence(kind: str, sender: str = ROMEO, to: str = JULIET) -> str:
    return f"<presence id='own' from='{sender}' to='{to}' type='{kind}'/>"


def disco(sender: str, to: str = JULIET) -> str:
    return f"<iq id='own' type='get' from='{sender}' to='{to}'>{DISCO}</iq>"


class Facts:
    """The same questions to each server; what differs is in the attributes."""

    server_class: type
    ordered: bool                # do answers of session and router come in the order asked?
    stranger_disco: str
    acknowledgement: list[str]   # of a subscribe that she has not decided
    undecided_probe: list[str]
    offline_probe: list[str]
    repeated: list[str]          # answers to subscribe after approval, she is online
    approved_disco: str
    unsubscribe: list[str]

    async def asyncSetUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="isthmus-facts-")
        self.server = self.server_class(Path(self.folder.name))
        await self.server.start()
        self.net = Component(SIP_DOMAIN, self.server.component_port)
        self.own = Component(GATEWAY_DOMAIN, self.server.component_port)
        await self.net.connect()
        await self.own.connect()
        self.juliet = XmppUser("juliet", self.server.c2s_port)

    async def asyncTearDown(self) -> None:
        await self.juliet.disconnect()
        self.net.close()
        self.own.close()
        self.server.kill()
        self.folder.cleanup()

    async def log_in(self) -> None:
        await self.juliet.connect()
        self.juliet.presence()

    async def ask(self, xml: str, component: Component | None = None) -> list[str]:
        return [brief(e) for e in await (component or self.net).answers(xml)]

    async def approve(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        answers = await self.ask("")
        self.assertRegex(answers[0], f"^presence subscribed from={JULIET} to={ROMEO}")
        self.assertRegex(answers[1], f"^presence - from={JULIET}/balcony to={ROMEO}")

    async def test_stranger_gets_silence_and_the_fence_an_answer(self) -> None:
        for user in (JULIET, "tybalt@example.com"):
            await self._strangers(user)
        await self.log_in()
        await self._strangers(JULIET)

    async def _strangers(self, user: str) -> None:
        for component in (self.net, self.own):
            self.assertEqual(await self.ask(presence("probe", component.domain, user), component), [])
            answers = await self.ask(disco(component.domain, user), component)
            self.assertEqual(len(answers), 1)
            self.assertIn(f"iq error from={user} to={component.domain} id=own", answers[0])
            self.assertIn(self.stranger_disco, answers[0])

    async def test_probe_before_anything_was_asked(self) -> None:
        await self.log_in()
        self.assertEqual(await self.ask(presence("probe")), [])

    async def test_undecided_subscribe_waits_for_her(self) -> None:
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        await self.log_in()
        await self.juliet.sees("subscribe", ROMEO)
        self.assertEqual(await self.ask(presence("subscribe")), self.acknowledgement)
        self.assertEqual(self.juliet.inbox.items, [], "asked twice")
        self.juliet.approve(ROMEO)
        self.assertIn("presence subscribed", (await self.ask(""))[0])

    async def test_probe_while_undecided(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        await self.juliet.sees("subscribe", ROMEO)
        self.assertEqual(await self.ask(presence("probe")), self.undecided_probe)
        self.juliet.approve(ROMEO)
        forgotten = bool(self.undecided_probe)
        self.assertEqual(await self.ask("") == [], forgotten)

    async def test_probe_before_subscribe_mends_what_the_probe_broke(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        answers = await self.ask(presence("probe") + presence("subscribe"))
        self.assertEqual(answers, self.undecided_probe + self.acknowledgement)
        self.juliet.approve(ROMEO)
        self.assertIn("presence subscribed", (await self.ask(""))[0])

    async def test_answers_keep_their_order(self) -> None:
        await self.approve()
        kinds = [a.split()[0] for a in await self.ask(presence("probe") + disco(SIP_DOMAIN))]
        self.assertEqual(kinds if self.ordered else sorted(kinds, reverse=True), ["presence", "iq"])

    async def test_probe_after_approval(self) -> None:
        await self.approve()
        self.assertRegex((await self.ask(presence("probe")))[0],
                         f"^presence - from={JULIET}/balcony to={ROMEO} .*<delay>")
        self.juliet.go_offline()
        self.assertRegex((await self.ask(""))[0], f"presence unavailable from={JULIET}/balcony")
        self.assertEqual(await self.ask(presence("probe")), self.offline_probe)

    async def test_subscribe_after_approval(self) -> None:
        await self.approve()
        answers = await self.ask(presence("subscribe"))
        self.assertEqual([" ".join(a.split()[:3]) for a in answers], self.repeated)
        self.assertNotIn("id=own", answers[0])

    async def test_disco_after_approval(self) -> None:
        await self.approve()
        self.assertIn(self.approved_disco, (await self.ask(disco(ROMEO)))[0])

    async def test_unsubscribe_after_approval(self) -> None:
        await self.approve()
        answers = await self.ask(presence("unsubscribe"))
        self.assertEqual([" ".join(a.split()[:3]) for a in answers], self.unsubscribe)
        await self.juliet.sees("unsubscribe", ROMEO)

    async def test_rejection(self) -> None:
        await self.log_in()
        await self.ask(presence("subscribe"))
        self.juliet.reject(ROMEO)
        answers = await self.ask("")
        self.assertEqual(len(answers), 1)
        self.assertRegex(answers[0], f"^presence unsubscribed from={JULIET} to={ROMEO} id=")

    async def test_she_subscribes_and_is_probed_for_at_login(self) -> None:
        await self.log_in()
        self.juliet.subscribe(ROMEO)
        self.assertRegex((await self.ask(""))[0], f"presence subscribe from={JULIET} to={ROMEO}")
        self.net.send(presence("subscribed"))
        await self.juliet.sees("subscribed", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "to")
        await self.juliet.disconnect()
        self.net.inbox.clear()
        await self.log_in()
        await self.net.inbox.take("probe", lambda e: brief(e).startswith(
            f"presence probe from={JULIET}/balcony to={ROMEO}"))

    async def test_foreign_sender_ends_the_stream(self) -> None:
        answers = await self.ask(presence("probe", "romeo@example.org"))
        self.assertIn("invalid-from", answers[0])


class ProsodyFacts(Facts, unittest.IsolatedAsyncioTestCase):
    server_class = Prosody
    ordered = True
    stranger_disco = "service-unavailable"
    acknowledgement = [f"presence unavailable from={JULIET} to={ROMEO}"]
    undecided_probe = [f"presence unsubscribed from={JULIET} to={ROMEO}"]
    offline_probe = [f"presence unavailable from={JULIET} to={ROMEO}"]
    repeated = [f"presence subscribed from={JULIET}", f"presence - from={JULIET}/balcony",
                f"presence - from={JULIET}/balcony"]
    approved_disco = "iq result"
    unsubscribe: list[str] = []


class EjabberdFacts(Facts, unittest.IsolatedAsyncioTestCase):
    server_class = Ejabberd
    ordered = False
    stranger_disco = "subscription-required"
    acknowledgement: list[str] = []
    undecided_probe: list[str] = []
    offline_probe: list[str] = []
    repeated = [f"presence subscribed from={JULIET}"]
    approved_disco = "not-allowed"
    unsubscribe = [f"presence unsubscribed from={JULIET}",
                   f"presence unavailable from={JULIET}/balcony"]


if __name__ == "__main__":
    unittest.main()
