"""SIP peers that misbehave, played by SIPp; on the other side a real XMPP server and its user."""

import asyncio
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from .process import HOST, free_ports
from .servers import Gateway, GatewayOptions
from .sipp import Sipp, answer, answer_late, notify, pause, say, take
from .test_presence import ROMEO
from .world import SERVERS, WorldTest
from .xmpp_user import XmppUser

ASKED = take("SUBSCRIBE", "From", "Contact")
ACCEPTED = answer(200, "OK", "Expires: 600")


class Misbehaviour(WorldTest):
    """A gateway whose proxy is SIPp."""

    xmpp = os.environ.get("PEERS_XMPP", "prosody")
    expires_s = 600
    transport = "udp"
    sipp_transport = "u1"
    extra: dict[str, dict[str, object]] = {}

    async def asyncSetUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="isthmus-sipp-"))
        self.server = SERVERS[self.xmpp](self.root)
        self.port, self.listen = free_ports(), free_ports()
        options = GatewayOptions(expires_s=self.expires_s, extra={
            "subscription": {"min_expires_s": 1, "expires_s": self.expires_s},
            "probe": {"timeout_s": 2, "window_s": 0}, "sip": self.sip(), **self.extra})
        self.gateway = Gateway(self.root, self.server.component_port, self.port, self.listen,
                               options)
        self.sipps: list[Sipp] = []
        self.users: list[XmppUser] = []
        self.addAsyncCleanup(self._end)
        await self.server.start()
        await self.gateway.start()
        self.juliet = XmppUser("juliet", self.server.c2s_port)
        self.users.append(self.juliet)
        await self.juliet.connect()
        self.juliet.presence()

    def sip(self) -> dict[str, object]:
        return {"t1_ms": 100, "proxy": f"sip:{HOST}:{self.port};transport={self.transport}",
                "listen": [f"udp:{HOST}:{self.listen}", f"tcp:{HOST}:{self.listen}"]}

    async def _end(self) -> None:
        for user in self.users:
            await user.disconnect()
        for one in [*self.sipps, self.gateway, self.server]:
            one.kill()
        if self._failed():
            print(f"\n{self.id()}: logs in {self.root}", flush=True)
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    def notifier(self, name: str, *steps: str, calls: int = 1) -> Sipp:
        """SIPp in romeo's place."""
        sipp = Sipp(self.root, name, list(steps), port=self.port, calls=calls,
                    transport=self.sipp_transport)
        self.sipps.append(sipp)
        return sipp.start()

    def subscriber(self, name: str, *steps: str) -> Sipp:
        """SIPp as romeo's phone, behind the proxy's address."""
        sipp = Sipp(self.root, name, list(steps), port=self.port, peer=self.listen)
        self.sipps.append(sipp)
        return sipp.start()

    async def sees_him(self, show: str) -> None:
        await self.juliet.sees("subscribed", ROMEO)
        await self.juliet.sees("available", ROMEO, show=show)

    async def sees_nothing(self, seconds: float = 1.0) -> None:
        await asyncio.sleep(seconds)
        self.assertEqual(self.juliet.inbox.items, [])


class Notifiers(Misbehaviour):
    """juliet watches a romeo whose presence agent errs (RFC 6665 §4.1)."""

    async def test_notify_before_the_200(self) -> None:
        sipp = self.notifier("early", take("SUBSCRIBE", "From", "To", "Via", "Contact"),
                             notify("active;expires=600"), take(200), pause(300),
                             answer_late(200, "OK", "Expires: 600"),
                             notify("active;expires=600", 2, "away"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await self.juliet.sees("available", ROMEO, show="away")
        await sipp.done()

    async def test_notify_without_expires(self) -> None:
        sipp = self.notifier("no-expires", ASKED, ACCEPTED, notify("active"), take(200),
                             notify("active", 2, "away"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await self.juliet.sees("available", ROMEO, show="away")
        await sipp.done()

    async def test_interval_too_brief(self) -> None:
        brief = self.notifier("brief", take("SUBSCRIBE"),
                              answer(423, "Interval Too Brief", "Min-Expires: 900"))
        self.juliet.subscribe(ROMEO)
        await brief.done()
        longer = self.notifier("longer", take("SUBSCRIBE", "From", "Contact", Expires="900"),
                               answer(200, "OK", "Expires: 900"), notify("active;expires=900"), take(200))
        await self.sees_him("chat")
        await longer.done()

    async def test_forbidden(self) -> None:
        sipp = self.notifier("forbidden", take("SUBSCRIBE"), answer(403, "Forbidden"))
        self.juliet.subscribe(ROMEO)
        await self.juliet.sees("unsubscribed", ROMEO)
        await sipp.done()

    async def test_busy_for_a_while(self) -> None:
        """503 with Retry-After: nothing is said to her, and it is tried again only then."""
        sipp = self.notifier("busy", take("SUBSCRIBE"),
                             answer(503, "Service Unavailable", "Retry-After: 3600"))
        self.juliet.subscribe(ROMEO)
        await sipp.done()
        idle = self.notifier("idle", take("SUBSCRIBE"), answer(500, "Too Early"))
        await self.sees_nothing(3)
        self.assertTrue(idle.child.alive)

    async def test_old_cseq(self) -> None:
        sipp = self.notifier("old-cseq", ASKED, ACCEPTED, notify("active;expires=600", 7),
                             take(200), notify("active;expires=600", 6, "dnd"), take(500),
                             notify("active;expires=600", 8, "away"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await self.juliet.sees("available", ROMEO, show="away")
        await sipp.done()

    async def test_documents_that_cannot_be_read(self) -> None:
        typed = ("<?xml version='1.0'?><!DOCTYPE presence SYSTEM 'x'><presence "
                "xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:r@e'/>")
        sipp = self.notifier(
            "bodies", ASKED, ACCEPTED, notify("active;expires=600"), take(200),
            notify("active;expires=600", 2, body="<presence"), take(400),
            notify("active;expires=600", 3, body=typed), take(400),
            notify("active;expires=600", 4, body="hello", kind="text/plain"), take(415),
            notify("active;expires=600", 5, event="dialog"), take(489),
            notify("active;expires=600", 6, "xa"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await self.juliet.sees("available", ROMEO, show="xa")
        self.assertEqual(self.juliet.inbox.items, [])
        await sipp.done()

    async def test_another_fork(self) -> None:
        sipp = self.notifier("fork", ASKED, ACCEPTED, notify("active;expires=600"), take(200),
                             notify("active;expires=600", 1, "dnd", tag="other[call_number]"),
                             take(481), notify("active;expires=600", 2, "away"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await self.juliet.sees("available", ROMEO, show="away")
        await sipp.done()

    async def test_pending_and_then_refused(self) -> None:
        sipp = self.notifier("refused", ASKED, ACCEPTED, notify("pending;expires=600", body=""),
                             take(200), pause(500),
                             notify("terminated;reason=rejected", 2, body=""), take(200))
        self.juliet.subscribe(ROMEO)
        await self.juliet.sees("unsubscribed", ROMEO)
        self.assertEqual(self.juliet.inbox.items, [])
        await sipp.done()

    async def test_asked_to_come_back_later(self) -> None:
        sipp = self.notifier("probation", ASKED, ACCEPTED, notify("active;expires=600"), take(200),
                             notify("terminated;reason=probation;retry-after=3600", 2, body=""),
                             take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await sipp.done()
        await self.juliet.sees("unavailable", ROMEO)
        idle = self.notifier("idle", take("SUBSCRIBE"), answer(500, "Too Early"))
        await self.sees_nothing(3)
        self.assertTrue(idle.child.alive)

    async def test_silence(self) -> None:
        """Nobody answers: the SUBSCRIBE is repeated, given up, and she is not told a thing."""
        mute = self.notifier("mute", take("SUBSCRIBE"), pause(8000))
        self.juliet.subscribe(ROMEO)
        await mute.done()
        heard = (mute.dir / "messages.log").read_text()
        self.repeated(heard.count("SUBSCRIBE sip:romeo@example.net SIP/2.0"))
        self.assertEqual(self.juliet.inbox.items, [])

    def repeated(self, times: int) -> None:
        self.assertGreater(times, 3)


class ShortLived(Misbehaviour):
    """Subscriptions of seconds, so that refreshes come within the test."""

    expires_s = 12

    async def test_refresh_answered_481(self) -> None:
        """The dialog is gone: a new one at once, and she does not notice (RFC 6665 §4.1.2.2)."""
        first = self.notifier("first", ASKED, answer(200, "OK", "Expires: 12"),
                              notify("active;expires=12"), take(200), take("SUBSCRIBE"),
                              answer(481, "Gone", tag=""))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await first.done()
        second = self.notifier("second", ASKED, answer(200, "OK", "Expires: 600"),
                               notify("active;expires=600", 1, "away"), take(200))
        await self.juliet.sees("available", ROMEO, show="away")
        await second.done()


class Challenges(Misbehaviour):
    """Servers that want to know who asks (RFC 3261 §22, RFC 7616)."""

    extra = {'sip.realms."example.net"': {"user": "gateway", "password": "loopback-only"}}
    NONCE = 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", qop="auth"'

    async def test_proxy_asks(self) -> None:
        """407, and the same SUBSCRIBE once more with the answer; the next one has it at once."""
        ask = answer(407, "Proxy Authentication Required", 'Proxy-Authenticate: Digest '
                     f'realm="example.net", algorithm=MD5, {self.NONCE}')
        sipp = self.notifier("proxy", take("SUBSCRIBE"), ask,
                             take("SUBSCRIBE", "From", "Contact",
                                  Proxy_Authorization='Digest .*username="gateway"',
                                  CSeq="2 SUBSCRIBE"),
                             ACCEPTED, notify("active;expires=600"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await sipp.done()

    async def test_strongest_is_answered(self) -> None:
        offers = [f'WWW-Authenticate: Digest realm="example.net", algorithm={name}, {self.NONCE}'
                  for name in ("MD5", "SHA-256")]
        sipp = self.notifier("server", take("SUBSCRIBE"), answer(401, "Unauthorized", *offers),
                             take("SUBSCRIBE", "From", "Contact",
                                  Authorization="algorithm=SHA-256.*nc=00000001"),
                             ACCEPTED, notify("active;expires=600"), take(200))
        self.juliet.subscribe(ROMEO)
        await self.sees_him("chat")
        await sipp.done()

    async def test_wrong_password(self) -> None:
        """The second 401 is the end for now: no third try, and she is told nothing."""
        ask = answer(401, "Unauthorized", 'WWW-Authenticate: Digest realm="example.net", '
                     f'algorithm=MD5, {self.NONCE}')
        again = answer(401, "Unauthorized", 'WWW-Authenticate: Digest realm="example.net", '
                       'algorithm=MD5, nonce="another", qop="auth"')
        sipp = self.notifier("wrong", take("SUBSCRIBE"), ask, take("SUBSCRIBE"), again)
        self.juliet.subscribe(ROMEO)
        await sipp.done()
        idle = self.notifier("idle", take("SUBSCRIBE"), answer(500, "Too Early"))
        await self.sees_nothing(2)
        self.assertTrue(idle.child.alive)

    async def test_realm_of_others(self) -> None:
        """No password for it: the 407 counts as a failure, nothing is sent again."""
        sipp = self.notifier("other", take("SUBSCRIBE"), answer(
            407, "Proxy Authentication Required",
            f'Proxy-Authenticate: Digest realm="elsewhere.example", {self.NONCE}'))
        self.juliet.subscribe(ROMEO)
        await sipp.done()
        idle = self.notifier("idle", take("SUBSCRIBE"), answer(500, "Too Early"))
        await self.sees_nothing(2)
        self.assertTrue(idle.child.alive)


class OverTcp(Notifiers):
    """The same notifiers over TCP."""

    transport = "tcp"
    sipp_transport = "t1"

    def repeated(self, times: int) -> None:
        self.assertEqual(times, 1)  # TCP does that (RFC 3261 §17.1.2.2)


class Subscribers(Misbehaviour):
    """romeo's phone errs while it watches juliet (RFC 6665 §4.2)."""

    @staticmethod
    def subscribe(cseq: int = 1, to_tag: str = "", **fields: str) -> str:
        head = {"Contact": "<sip:romeo@[local_ip]:[local_port]>", "Event": "presence",
                "Expires": "600", "Max_Forwards": "70", **fields}
        lines = "\n".join(f"{name.replace('_', '-')}: {value}" for name, value in head.items()
                          if value)
        return say(f"""SUBSCRIBE sip:juliet@example.com SIP/2.0
            Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
            From: <sip:romeo@example.net>;tag=phone[call_number]
            To: <sip:juliet@example.com>{to_tag}
            Call-ID: [call_id]
            CSeq: {cseq} SUBSCRIBE
            {lines}""")

    async def test_refused_requests(self) -> None:
        """Each gets its status, and juliet hears of none."""
        for name, fields, status in (
                ("no-contact", {"Contact": ""}, 400), ("event", {"Event": "dialog"}, 489),
                ("no-event", {"Event": ""}, 489), ("accept", {"Accept": "text/html"}, 406),
                ("require", {"Require": "magic"}, 420), ("hops", {"Max_Forwards": "0"}, 483)):
            with self.subTest(name):
                await self.subscriber(name, self.subscribe(**fields), take(status)).done()
        for name, to_tag, status in (("lost", ";tag=0123456789abcdef01234567", 481),):
            await self.subscriber(name, self.subscribe(to_tag=to_tag), take(status)).done()
        await self.sees_nothing()

    async def test_gone_when_notified(self) -> None:
        """481 to a NOTIFY ends the dialog at once."""
        sipp = self.subscriber("gone", self.subscribe(), take(200), take("NOTIFY"),
                               answer(481, "Gone", tag=""))
        await sipp.done()
        for _ in range(50):
            _, body = await self.gateway.get("/v1/subscriptions")
            if not any(item["dialogs"] for item in body["items"]):
                return
            await asyncio.sleep(0.1)
        self.fail(f"still there: {body}")

    async def test_retransmission_gets_the_same_answer(self) -> None:
        """The same SUBSCRIBE twice: one dialog, one 200 sent twice with one tag."""
        twice = self.subscribe().replace("<send>", '<send retrans="200">')
        sipp = self.subscriber("twice", twice, take("NOTIFY"), answer(200, "OK", tag=""),
                               pause(1500))
        await asyncio.sleep(3)
        sipp.kill()
        _, body = await self.gateway.get("/v1/subscriptions")
        self.assertEqual([len(item["dialogs"]) for item in body["items"]], [1])

    async def test_fetch_without_a_subscription(self) -> None:
        sipp = self.subscriber("fetch", self.subscribe(Expires="0"), take(200),
                               take("NOTIFY", Subscription_State="terminated;reason=timeout"),
                               answer(200, "OK", tag=""))
        await sipp.done()
        self.assertEqual([p.type for p in self.juliet.inbox.items], [])

    async def test_more_than_is_granted(self) -> None:
        sipp = self.subscriber("long", self.subscribe(Expires="999999"),
                               take(200, Expires="7200"), take("NOTIFY"),
                               answer(200, "OK", tag=""))
        await sipp.done()


if __name__ == "__main__":
    unittest.main()
