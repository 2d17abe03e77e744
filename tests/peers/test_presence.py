"""Presence both ways between real users of real servers: the journeys of RFC 8048 §5 to §7."""

import asyncio
import os
import unittest

from .servers import GatewayOptions
from .world import WorldTest

JULIET, ROMEO = "juliet@example.com", "romeo@example.net"


class Journey(WorldTest):
    """XMPP server by the environment: PEERS_XMPP=prosody (default) or ejabberd."""

    xmpp = os.environ.get("PEERS_XMPP", "prosody")

    async def both(self) -> None:
        self.juliet = await self.world.xmpp_user("juliet")
        self.romeo = await self.world.sip_user("romeo")
        await self.romeo.publish("open")

    async def juliet_watches(self) -> None:
        self.juliet.subscribe(ROMEO)
        await self.juliet.sees("subscribed", ROMEO)
        await self.juliet.sees("available", ROMEO)

    async def romeo_watches(self) -> None:
        self.dialog = await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")

    async def subscriptions(self) -> list[dict]:
        """A shard has a second to answer; on a machine that is busy elsewhere it may need longer."""
        for _ in range(10):
            status, body = await self.world.gateway.get("/v1/subscriptions")
            if status != 503:
                break
        self.assertEqual(status, 200)
        return body["items"]

    async def watch_is(self, state: str, dialogs: int) -> None:
        for _ in range(100):
            watch, = [one for one in await self.subscriptions()
                      if one["direction"] == "xmpp-to-sip"]
            if watch["state"] == state and len(watch["dialogs"]) == dialogs:
                return
            await asyncio.sleep(0.1)
        self.fail(f"{watch}")


class XmppWatchesSip(Journey):
    """RFC 8048 §5.2, §6.3: juliet sees romeo."""

    async def test_sees_every_change(self) -> None:
        await self.both()
        await self.romeo.publish("open", "away", "in the orchard")
        self.juliet.subscribe(ROMEO)
        await self.juliet.sees("subscribed", ROMEO)
        first = await self.juliet.sees("available", ROMEO, show="away", status="in the orchard")
        self.assertEqual(first.resource, "orchard")
        await self.romeo.publish("open", "dnd")
        await self.juliet.sees("available", ROMEO, show="dnd", status="")
        await self.romeo.publish("open")
        await self.juliet.sees("available", ROMEO, show="")
        await self.romeo.publish("closed")
        await self.juliet.sees("unavailable", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "to")

    async def test_sees_rpid_activities(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo.publish("open", activity="away")
        await self.juliet.sees("available", ROMEO, show="away")
        await self.romeo.publish("open", activity="busy")
        await self.juliet.sees("available", ROMEO, show="dnd")

    async def test_sees_two_devices(self) -> None:
        await self.both()
        await self.juliet_watches()
        phone = await self.world.sip_user("romeo", "phone")
        await phone.publish("open", "dnd")
        await self.juliet.sees("available", f"{ROMEO}/phone", show="dnd")
        await phone.unpublish()
        await self.juliet.sees("unavailable", f"{ROMEO}/phone")
        self.assertIn(f"{ROMEO}/orchard", self.juliet.contacts)

    async def test_publication_taken_away(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo.unpublish()
        await self.juliet.sees("unavailable", ROMEO)

    async def test_unsubscribe(self) -> None:
        await self.both()
        await self.juliet_watches()
        self.juliet.unsubscribe(ROMEO)
        await self.juliet.sees("unavailable", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "none")
        await self.romeo.publish("open", "away")
        await self._gone()
        self.assertEqual([p for p in self.juliet.inbox.items if p.show], [])

    async def _gone(self) -> None:
        for _ in range(50):
            if not await self.subscriptions():
                return
        self.fail("the subscription is still there")

    async def test_logs_in_again_and_sees_at_once(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.juliet.disconnect()
        await self.romeo.publish("open", "dnd")
        await self.juliet.connect()
        self.juliet.presence()
        await self.juliet.sees("available", ROMEO, show="dnd")

    async def test_subscribes_again_when_already_subscribed(self) -> None:
        await self.both()
        await self.juliet_watches()
        self.juliet.subscribe(ROMEO)
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, show="away")
        self.assertEqual(len(await self.subscriptions()), 1)


class SipDecides(Journey):
    """The SIP user's presence agent asks him first (pres-rules over XCAP)."""

    ask = True

    async def asks(self) -> None:
        await self.both()
        await self.romeo.watchers()
        self.juliet.subscribe(ROMEO)
        await self.romeo.sees_watcher(JULIET, "pending")

    async def test_allows_after_being_asked(self) -> None:
        await self.asks()
        self.assertEqual(self.juliet.inbox.items, [], "a pending NOTIFY is nobody's news")
        await self.romeo.set_rules(allowed=[JULIET])
        await self.juliet.sees("subscribed", ROMEO)
        await self.juliet.sees("available", ROMEO)

    async def test_has_allowed_before(self) -> None:
        await self.both()
        await self.romeo.set_rules(allowed=[JULIET])
        await self.juliet_watches()

    async def test_both_undecided_and_he_decides_first(self) -> None:
        await self.asks()
        await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        await self.romeo.set_rules(allowed=[JULIET])
        await self.juliet.sees("subscribed", ROMEO)
        await self.juliet.sees("available", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "both")

    async def test_both_undecided_and_she_decides_first(self) -> None:
        await self.asks()
        await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        await self.romeo.set_rules(allowed=[JULIET])
        await self.juliet.sees("subscribed", ROMEO)
        await self.juliet.sees("available", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "both")

    async def test_rejects(self) -> None:
        await self.asks()
        await self.romeo.set_rules(blocked=[JULIET])
        await self.juliet.sees("unsubscribed", ROMEO)
        self.assertIn(await self.juliet.roster_subscription(ROMEO), ("none", ""))
        self.assertEqual(await self.subscriptions(), [])

    async def test_has_rejected_before(self) -> None:
        await self.both()
        await self.romeo.set_rules(blocked=[JULIET])
        self.juliet.subscribe(ROMEO)
        await self.juliet.sees("unsubscribed", ROMEO)

    async def test_changes_his_mind(self) -> None:
        await self.both()
        await self.romeo.set_rules(allowed=[JULIET])
        await self.juliet_watches()
        await self.romeo.set_rules(blocked=[JULIET])
        await self.juliet.sees("unsubscribed", ROMEO)
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "none")


class SipWatchesXmpp(Journey):
    """RFC 8048 §5.3, §6.2: romeo sees juliet."""

    async def test_sees_every_change(self) -> None:
        await self.both()
        self.dialog = await self.romeo.subscribe(JULIET)
        await self.romeo.sees(JULIET, state="pending")
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        self.juliet.presence("away", "on the balcony")
        seen = await self.romeo.sees(JULIET, state="active", show="away", note="on the balcony")
        self.assertEqual([t.id for t in seen.tuples], ["ID-balcony"])
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd", note="")
        self.juliet.presence()
        await self.romeo.sees(JULIET, basic="open", show="")
        self.juliet.go_offline()
        await self.romeo.sees(JULIET, state="active", basic="closed")

    async def test_she_rejects(self) -> None:
        await self.both()
        dialog = await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        await self.romeo.sees(JULIET, state="pending")
        await dialog.subscribe()
        await self.romeo.sees(JULIET, state="pending")  # still: what servers answer is not her word
        self.juliet.reject(ROMEO)
        await self.romeo.sees(JULIET, state="terminated", reason="rejected")

    async def test_she_takes_approval_back(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.reject(ROMEO)
        await self.romeo.sees(JULIET, state="terminated", reason="rejected")
        self.assertEqual(await self.subscriptions(), [])

    async def test_he_ends_the_dialog(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.inbox.clear()
        await self.dialog.end()
        await self.romeo.sees(JULIET, state="terminated", reason="timeout", basic="closed")
        await self.juliet.sees("unavailable", ROMEO)

    async def test_he_comes_back_without_being_asked_about(self) -> None:
        await self.both()
        await self.romeo_watches()
        await self.dialog.end()
        await self.romeo.sees(JULIET, state="terminated")
        self.juliet.inbox.clear()
        self.juliet.presence("away")
        await self.romeo.subscribe(JULIET)
        await self.romeo.sees(JULIET, state="active", basic="open", show="away")
        self.assertEqual([p for p in self.juliet.inbox.items if p.type == "subscribe"], [])

    async def test_she_decides_at_her_next_login(self) -> None:
        await self.both()
        await self.juliet.disconnect()
        await self.romeo.subscribe(JULIET)
        await self.romeo.sees(JULIET, state="pending")
        await self.juliet.connect()
        self.juliet.presence("away")
        await self.juliet.sees("subscribe", ROMEO)
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open", show="away")

    async def test_two_resources(self) -> None:
        await self.both()
        await self.romeo_watches()
        chamber = await self.world.xmpp_user("juliet", "chamber", online=False)
        await chamber.connect()
        chamber.presence("dnd")
        seen = await self.romeo.inbox.take("two tuples", lambda n: len(n.tuples) == 2)
        self.assertEqual({t.id for t in seen.tuples}, {"ID-balcony", "ID-chamber"})
        await chamber.drop()
        self.world.xmpp_users.remove(chamber)
        await self.romeo.inbox.take("the other alone", lambda n: n.basic == "open" and [
            t.id for t in n.tuples if t.basic == "open"] == ["ID-balcony"])

    async def test_two_devices(self) -> None:
        await self.both()
        await self.romeo_watches()
        phone = await self.world.sip_user("romeo", "phone")
        second = await phone.subscribe(JULIET)
        await phone.sees(JULIET, state="active", basic="open")
        self.juliet.presence("away")
        await self.romeo.sees(JULIET, show="away")
        await phone.sees(JULIET, show="away")
        self.juliet.inbox.clear()
        await second.end()
        await phone.sees(JULIET, state="terminated")
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd")
        self.assertEqual(self.juliet.inbox.items, [], "one device still watches")

    async def test_fetch(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.juliet.presence("away")
        await self.romeo.sees(JULIET, show="away")
        fetched = await self.romeo.fetch(JULIET)
        seen = await self.romeo.sees(JULIET, state="terminated", show="away")
        self.assertEqual(seen.dialog, fetched.call_id)

    async def test_interval_too_brief(self) -> None:
        await self.both()
        dialog = await self.romeo.subscribe(JULIET, expires_s=5)  # obeys the 423
        self.assertEqual(dialog.expires_s, 60)
        await self.romeo.sees(JULIET, state="pending")

    async def test_refresh_tells_again(self) -> None:
        await self.both()
        await self.romeo_watches()
        self.romeo.inbox.clear()
        await self.dialog.subscribe()
        await self.romeo.sees(JULIET, state="active", basic="open")


class Both(Journey):
    """Each watches the other, asked for in either order."""

    async def settled(self) -> None:
        await self.romeo.publish("open", "away")
        await self.juliet.sees("available", ROMEO, show="away")
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, show="dnd")
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "both")

    async def test_she_asks_first(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        await self.settled()

    async def test_he_asks_first(self) -> None:
        await self.both()
        await self.romeo_watches()
        await self.juliet_watches()
        await self.settled()

    async def test_she_asks_before_she_approves(self) -> None:
        await self.both()
        await self.romeo.subscribe(JULIET)
        await self.juliet.sees("subscribe", ROMEO)
        await self.juliet_watches()
        self.juliet.approve(ROMEO)
        await self.romeo.sees(JULIET, state="active", basic="open")
        await self.settled()

    async def test_ending_one_leaves_the_other(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        self.juliet.unsubscribe(ROMEO)
        await self.juliet.sees("unavailable", ROMEO)
        self.juliet.presence("dnd")
        await self.romeo.sees(JULIET, state="active", show="dnd")
        self.assertEqual(await self.juliet.roster_subscription(ROMEO), "from")

    async def test_her_session_ends_and_begins(self) -> None:
        """While she is away the SIP side keeps no dialog of hers, and loses nothing of hers."""
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        await self.juliet.disconnect()
        await self.romeo.sees(JULIET, basic="closed")
        await self.watch_is("dormant", 0)
        await self.romeo.publish("open", "dnd")
        await self.juliet.connect()
        self.juliet.presence()
        await self.juliet.sees("available", ROMEO, show="dnd")
        await self.watch_is("active", 1)


class OwnDomain(Journey):
    """The gateway probes from a domain of its own, over a stream of its own."""

    options = GatewayOptions(domain="gw.example.net")

    async def test_both_ways(self) -> None:
        await self.both()
        await self.juliet_watches()
        await self.romeo_watches()
        _, status = await self.world.gateway.get("/v1/status")
        self.assertEqual({s["domain"] for s in status["streams"]},
                         {"example.net", "gw.example.net"})


if __name__ == "__main__":
    unittest.main()
