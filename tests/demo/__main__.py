"""./dev demo: starts Prosody, Kamailio and the gateway on loopback and plays the exchange."""

import argparse
import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from peers.capture import Capture, CaptureFailed
from peers.inbox import Missing
from peers.process import NotReady
from peers.servers import PASSWORD, XMPP_DOMAIN, Server
from peers.sip_user import SipFailure
from peers.world import World

from .play import Play
from .screen import Screen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--once", action="store_true",
                        help="end after the exchange; exit 0 only if every step was seen")
    parser.add_argument("--capture", metavar="FILE", type=Path,
                        help="record the packets, and check the flows of RFC 8048 in them "
                        "(needs tshark and the right to capture)")
    return parser.parse_args()


def version(package: str) -> str:
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True,
                          text=True, check=False)
    return done.stdout.split("-")[0]


def introduce(screen: Screen, world: World) -> None:
    gateway, kamailio, prosody = world.gateway, world.kamailio, world.xmpp
    screen.say("Isthmus: an XMPP user and a SIP user see each other's presence", "bold")
    screen.say(f"""
  juliet@example.com ── Prosody {version("prosody")} ══ ISTHMUS ══ Kamailio {version("kamailio")} ── romeo@example.net
  XMPP client: slixmpp {version("python3-slixmpp")} on 127.0.0.1:{prosody.c2s_port}; SIP client: tests/peers/sip_user.py on UDP
  ports: component {prosody.component_port}, gateway {gateway.listen_port} and {gateway.shard_port}.., Kamailio {kamailio.port}, REST {gateway.api_port}
  logs and state: {world.root}
""")


async def start(screen: Screen, server: Server) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await server.start()
    screen.check(True, f"{server.name} is ready ({loop.time() - began:.2f} s)")


async def start_all(screen: Screen, world: World) -> None:
    for server in (world.xmpp, world.kamailio, world.gateway):
        await start(screen, server)
    screen.say()
    screen.columns("juliet@example.com (XMPP)", "romeo@example.net (SIP)")


def invite(screen: Screen, world: World) -> None:
    screen.title("Running until Ctrl-C")
    screen.say(f"  status:    curl http://127.0.0.1:{world.gateway.api_port}/v1/subscriptions\n"
               f"  your own:  XMPP client at 127.0.0.1:{world.xmpp.c2s_port} without TLS, "
               f"nurse@{XMPP_DOMAIN}, password {PASSWORD};\n"
               f"             SIP client at 127.0.0.1:{world.kamailio.port} over UDP, any name "
               f"at example.net, no password.\n"
               "             juliet and romeo let in whoever asks, and change their mood now and then.")


def conclude(screen: Screen, play: Play, fault: str) -> bool:
    screen.title("Checklist")
    for step in play.steps:
        seconds = f" ({step.seconds * 1000:.0f} ms)" if step.seconds is not None else ""
        screen.check(step.seconds is not None, step.text + seconds)
    if fault:
        screen.say(f"\nNot everything was seen: {fault}\nLogs: {play.world.root}", "bad")
    return not fault


async def run(options: argparse.Namespace) -> bool:
    screen = Screen()
    world = World(ask=True, trace=screen.message)
    play = Play(world, screen, pause_s=0.7 if screen.colours and not options.once else 0)
    capture = Capture(options.capture, world) if options.capture else None
    introduce(screen, world)
    fault = ""
    try:
        if capture:
            await capture.start()
        await start_all(screen, world)
        await play.exchange()
        if options.once:
            await play.farewell()
            return conclude(screen, play, "") and check_capture(screen, capture)
        conclude(screen, play, "")
        invite(screen, world)
        await play.live_on()
    except (Missing, NotReady, SipFailure, CaptureFailed, OSError, asyncio.TimeoutError) as error:
        fault = str(error) or type(error).__name__
        conclude(screen, play, fault)
    finally:
        if capture:
            capture.stop()
        await world.stop()
    return not fault


def check_capture(screen: Screen, capture: Capture | None) -> bool:
    if capture is None:
        return True
    capture.stop()
    return capture.check(screen.say, screen.check)


async def until_signal(options: argparse.Namespace) -> int:
    task = asyncio.create_task(run(options))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return 0 if await task else 1
    except BrokenPipeError:  # nobody reads any more
        return 141
    except asyncio.CancelledError:
        print("\nEnded.", flush=True)
        return 130 if options.once else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(until_signal(arguments())))
