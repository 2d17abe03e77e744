"""Records a world's loopback packets with tshark and finds the flows of RFC 8048 in them."""

import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable
from xml.etree import ElementTree

from . import pidf
from .component import brief
from .sip_message import SipMessage, bare_uri, param, parse, uri_of
from .world import World


class CaptureFailed(Exception):
    """Packets could not be recorded."""


@dataclass
class Packet:
    """One SIP message or stanza on its way from one party to another."""

    at: float
    source: str
    target: str
    sip: SipMessage | None = None
    stanza: ElementTree.Element | None = None

    @property
    def kind(self) -> str:
        """SUBSCRIBE, "200 NOTIFY", "presence subscribed" …"""
        if self.stanza is not None:
            name = self.stanza.tag.rpartition("}")[2]
            return f"{name} {self.stanza.get('type') or 'available'}"
        return self.sip.method or f"{self.sip.status} {self.sip.cseq[1]}"

    def header(self, name: str) -> str:
        return self.sip.get(name) if self.sip else ""

    @property
    def state(self) -> str:
        return self.header("Subscription-State").split(";")[0].strip()

    @property
    def tuples(self) -> list[pidf.Tuple]:
        return pidf.read(self.sip.body) if self.sip and "pidf" in self.header("Content-Type") else []

    @property
    def basic(self) -> str:
        return ",".join(t.basic for t in self.tuples)

    def end(self, name: str) -> str:
        """Bare address of From or To, from or to."""
        if self.stanza is not None:
            return (self.stanza.get(name.lower()) or "").split("/")[0]
        return bare_uri(uri_of(self.header(name)))

    def summary(self) -> str:
        if self.stanza is not None:
            return brief(self.stanza)
        words = [self.kind, f"{self.end('From')} → {self.end('To')}"]
        words += [f"{n}: {self.header(n)}" for n in ("Expires", "Subscription-State")
                  if self.header(n)]
        return "  ".join(words + [t.summary() for t in self.tuples])


Matcher = Callable[[Packet], bool]


@dataclass
class Expectation:
    """A packet that must be there, later than those named in `after`.

    A SIP response names its request first in `after`: Call-ID and CSeq have to be the same.
    """

    name: str
    source: str
    target: str
    kind: str
    fits: Matcher = lambda _: True
    after: tuple[str, ...] = ()


@dataclass
class Flow:
    """A section of RFC 8048 as packets between the gateway and its two neighbours."""

    title: str
    expected: list[Expectation]
    found: dict[str, Packet] = field(default_factory=dict)

    def look(self, packets: list[Packet]) -> str:
        """Fills `found`; the name of the first expectation that nothing fits, or ""."""
        for expectation in self.expected:
            since = max((self.found[name].at for name in expectation.after), default=0.0)
            packet = next((p for p in packets if p.at >= since and p not in self.found.values()
                           and self._fits(expectation, p)), None)
            if packet is None:
                return expectation.name
            self.found[expectation.name] = packet
        return ""

    def _fits(self, e: Expectation, p: Packet) -> bool:
        if (p.source, p.target, p.kind) != (e.source, e.target, e.kind) or not e.fits(p):
            return False
        if p.sip is None or p.sip.is_request:
            return True
        request = self.found[e.after[0]]
        return (_dialog(p), p.sip.cseq) == (_dialog(request), request.sip.cseq)


class Capture:
    """start() before the servers, stop() after; check() reads what was recorded."""

    def __init__(self, file: Path, world: World):
        self.file = file
        self.world = world
        self.tshark: subprocess.Popen | None = None
        gateway, self.kamailio = world.gateway, world.kamailio.port
        self.component = world.xmpp.component_port
        self.gateway = {gateway.listen_port, *range(gateway.shard_port, gateway.shard_port + 8)}

    async def start(self) -> None:
        if not shutil.which("tshark"):
            raise CaptureFailed("tshark is missing: ./dev demo --capture installs it as root")
        ports = " or ".join(f"port {p}" for p in
                            (self.component, self.kamailio, *sorted(self.gateway)))
        self.log = self.world.root / "tshark.log"
        self.file.unlink(missing_ok=True)
        with open(self.log, "wb") as log:
            self.tshark = subprocess.Popen(
                ["tshark", "-q", "-i", "lo", "-f", ports, "-w", str(self.file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 15
        while not (self.file.exists() and self.file.stat().st_size > 0):
            if self.tshark.poll() is not None or time.monotonic() > deadline:
                raise CaptureFailed(f"tshark does not capture: {self.log.read_text().strip()}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.tshark and self.tshark.poll() is None:
            time.sleep(1)  # what the kernel still holds for it
            self.tshark.send_signal(signal.SIGINT)
            self.tshark.wait(10)

    def packets(self) -> list[Packet]:
        fields = ["frame.time_relative", "udp.srcport", "udp.dstport", "tcp.srcport",
                  "tcp.dstport", "tcp.stream", "udp.payload", "tcp.payload"]
        argv = ["tshark", "-r", str(self.file), "-Y", "not tcp.analysis.retransmission",
                "-T", "fields", "-E", "separator=;"]
        for name in fields:
            argv += ["-e", name]
        rows = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        streams = Streams()
        packets: list[Packet] = []
        for row in rows.splitlines():
            at, *columns = row.split(";")
            packets += self._packets(float(at), columns, streams)
        return packets

    def _packets(self, at: float, columns: list[str], streams: "Streams") -> list[Packet]:
        udp_from, udp_to, tcp_from, tcp_to, stream, udp, tcp = columns
        if udp:
            data = bytes.fromhex(udp)
            source, target = self._role(int(udp_from)), self._role(int(udp_to))
            return [Packet(at, source, target, sip=parse(data))] if data.strip() else []
        if tcp and self.component in (int(tcp_from), int(tcp_to)):
            source, target = (("xmpp", "gateway") if int(tcp_from) == self.component
                              else ("gateway", "xmpp"))
            return [Packet(at, source, target, stanza=stanza)
                    for stanza in streams.feed((stream, source), bytes.fromhex(tcp))]
        return []

    def _role(self, port: int) -> str:
        if port in self.gateway:
            return "gateway"
        return "kamailio" if port == self.kamailio else "romeo"

    def check(self, say: Callable[[str, str], None], mark: Callable[[bool, str], None]) -> bool:
        """Prints each flow's ladder; True if nothing is missing and nothing is there that may not."""
        packets = self.packets()
        faults = []
        looked = flows()
        for flow in looked:
            missing = flow.look(packets)
            say(f"\n{flow.title}", "bold")
            for line in ladder(sorted(flow.found.values(), key=lambda p: p.at)):
                say(line, "")
            mark(not missing, f"missing: {missing}" if missing else "complete")
            faults += [f"{flow.title}: {missing}"] if missing else []
        for fault in forbidden(packets) + strangers(looked):
            mark(False, fault)
            faults.append(fault)
        say(f"\n{len(packets)} messages in {self.file}", "")
        return not faults


class Streams:
    """Cuts the XML streams of TCP connections into stanzas, each direction by itself."""

    def __init__(self) -> None:
        self._parsers: dict[tuple[str, str], ElementTree.XMLPullParser] = {}
        self._depth: dict[tuple[str, str], int] = {}

    def feed(self, key: tuple[str, str], data: bytes) -> list[ElementTree.Element]:
        parser = self._parsers.setdefault(key, ElementTree.XMLPullParser(["start", "end"]))
        try:
            parser.feed(data)
        except ElementTree.ParseError:
            return []
        stanzas = []
        for kind, element in parser.read_events():
            depth = self._depth.get(key, 0) + (1 if kind == "start" else -1)
            self._depth[key] = depth
            if kind == "end" and depth == 1:
                stanzas.append(element)
        return stanzas


PARTIES = ("xmpp", "gateway", "kamailio", "romeo")
LANE = 12


def ladder(packets: list[Packet]) -> list[str]:
    """The packets as arrows between vertical lines."""
    lines = ["          " + "".join(f"{party:<{LANE}}" for party in PARTIES)]
    for packet in packets:
        left, right = sorted((PARTIES.index(packet.source), PARTIES.index(packet.target)))
        shaft = "─" * ((right - left) * LANE - 2)
        arrow = shaft + "▶" if PARTIES[left] == packet.source else "◀" + shaft
        lanes = "".join(f"{'│':<{LANE}}" for _ in range(left)) + "│" + arrow + "│"
        lanes += "".join(f"{'':<{LANE - 1}}│" for _ in range(len(PARTIES) - 1 - right))
        lines.append(f"{packet.at:8.3f}  {lanes}  {packet.summary()}")
    return lines


JULIET, ROMEO = "juliet@example.com", "romeo@example.net"


def _of(sender: str, to: str, more: Matcher = lambda _: True) -> Matcher:
    return lambda p: p.end("From") == sender and p.end("To") == to and more(p)


def _dialog(packet: Packet) -> str:
    return packet.header("Call-ID")


def flows() -> list[Flow]:
    """Fresh expectations. Names F… are those of RFC 8048's figures."""
    return [_xmpp_asks(), _sip_asks(), _xmpp_to_sip_presence(), _sip_to_xmpp_presence(),
            _sip_cancels(), _xmpp_cancels()]


def _xmpp_asks() -> Flow:
    watch = _of(JULIET, ROMEO)
    told = _of(ROMEO, JULIET)
    return Flow("RFC 8048 §5.2.1: juliet asks to see romeo", [
        Expectation("F1 subscribe", "xmpp", "gateway", "presence subscribe", watch),
        Expectation("F2 SUBSCRIBE", "gateway", "kamailio", "SUBSCRIBE",
                    _of(JULIET, ROMEO, lambda p: p.header("Expires") != "0"
                        and p.header("Event") == "presence"), ("F1 subscribe",)),
        Expectation("F5 200", "kamailio", "gateway", "200 SUBSCRIBE", watch, ("F2 SUBSCRIBE",)),
        Expectation("F7 NOTIFY pending", "kamailio", "gateway", "NOTIFY",
                    _of(ROMEO, JULIET, lambda p: p.state == "pending"), ("F2 SUBSCRIBE",)),
        Expectation("F8 200", "gateway", "kamailio", "200 NOTIFY", told, ("F7 NOTIFY pending",)),
        Expectation("F11 NOTIFY active", "kamailio", "gateway", "NOTIFY",
                    _of(ROMEO, JULIET, lambda p: p.state == "active"), ("F8 200",)),
        Expectation("F12 200", "gateway", "kamailio", "200 NOTIFY", told, ("F11 NOTIFY active",)),
        Expectation("F14 subscribed", "gateway", "xmpp", "presence subscribed", told,
                    ("F11 NOTIFY active",)),
        Expectation("F15 presence", "gateway", "xmpp", "presence available", told,
                    ("F14 subscribed",))])


def _sip_asks() -> Flow:
    told = _of(JULIET, ROMEO)
    return Flow("RFC 8048 §5.3.1: romeo asks to see juliet", [
        Expectation("F26 SUBSCRIBE", "kamailio", "gateway", "SUBSCRIBE",
                    _of(ROMEO, JULIET, lambda p: p.header("Expires") != "0")),
        Expectation("F27 200", "gateway", "kamailio", "200 SUBSCRIBE", _of(ROMEO, JULIET),
                    ("F26 SUBSCRIBE",)),
        Expectation("F28 subscribe", "gateway", "xmpp", "presence subscribe", _of(ROMEO, JULIET),
                    ("F26 SUBSCRIBE",)),
        Expectation("NOTIFY pending", "gateway", "kamailio", "NOTIFY",
                    _of(JULIET, ROMEO, lambda p: p.state == "pending"), ("F26 SUBSCRIBE",)),
        Expectation("F31 subscribed", "xmpp", "gateway", "presence subscribed", told,
                    ("F28 subscribe",)),
        Expectation("F32 NOTIFY active", "gateway", "kamailio", "NOTIFY",
                    _of(JULIET, ROMEO, lambda p: p.state == "active"), ("F31 subscribed",)),
        Expectation("F33 200", "kamailio", "gateway", "200 NOTIFY", told,
                    ("F32 NOTIFY active",))])


def _xmpp_to_sip_presence() -> Flow:
    told = _of(JULIET, ROMEO)
    return Flow("RFC 8048 §6.2: juliet's presence reaches romeo", [
        Expectation("away", "xmpp", "gateway", "presence available",
                    _of(JULIET, ROMEO, lambda p: _show(p) == "away")),
        Expectation("NOTIFY away", "gateway", "kamailio", "NOTIFY",
                    _of(JULIET, ROMEO, lambda p: [t.show for t in p.tuples] == ["away"]
                        and p.basic == "open"), ("away",)),
        Expectation("200 away", "kamailio", "gateway", "200 NOTIFY", told, ("NOTIFY away",)),
        Expectation("unavailable", "xmpp", "gateway", "presence unavailable", told,
                    ("NOTIFY away",)),
        Expectation("NOTIFY closed", "gateway", "kamailio", "NOTIFY",
                    _of(JULIET, ROMEO, lambda p: p.basic == "closed" and p.state == "active"),
                    ("unavailable",)),
        Expectation("200 closed", "kamailio", "gateway", "200 NOTIFY", told, ("NOTIFY closed",))])


def _sip_to_xmpp_presence() -> Flow:
    told = _of(ROMEO, JULIET)
    return Flow("RFC 8048 §6.3: romeo's presence reaches juliet", [
        Expectation("NOTIFY away", "kamailio", "gateway", "NOTIFY",
                    _of(ROMEO, JULIET, lambda p: [t.show for t in p.tuples] == ["away"])),
        Expectation("200 away", "gateway", "kamailio", "200 NOTIFY", told, ("NOTIFY away",)),
        Expectation("away", "gateway", "xmpp", "presence available",
                    _of(ROMEO, JULIET, lambda p: _show(p) == "away"), ("NOTIFY away",)),
        Expectation("NOTIFY closed", "kamailio", "gateway", "NOTIFY",
                    _of(ROMEO, JULIET, lambda p: p.basic == "closed"), ("away",)),
        Expectation("unavailable", "gateway", "xmpp", "presence unavailable", told,
                    ("NOTIFY closed",))])


def _sip_cancels() -> Flow:
    return Flow("RFC 8048 §5.3.3: romeo ends his subscription", [
        Expectation("SUBSCRIBE 0", "kamailio", "gateway", "SUBSCRIBE",
                    _of(ROMEO, JULIET, lambda p: p.header("Expires") == "0"
                        and bool(param(p.header("To"), "tag")))),
        Expectation("200", "gateway", "kamailio", "200 SUBSCRIBE", _of(ROMEO, JULIET),
                    ("SUBSCRIBE 0",)),
        Expectation("NOTIFY terminated", "gateway", "kamailio", "NOTIFY",
                    _of(JULIET, ROMEO, lambda p: p.state == "terminated" and p.basic == "closed"
                        and param(p.header("Subscription-State"), "reason") == "timeout"),
                    ("SUBSCRIBE 0",)),
        Expectation("unavailable", "gateway", "xmpp", "presence unavailable", _of(ROMEO, JULIET),
                    ("SUBSCRIBE 0",))])


def _xmpp_cancels() -> Flow:
    return Flow("RFC 8048 §5.2.3: juliet unsubscribes (the notifier sends the last NOTIFY, "
                "RFC 6665 §4.4.1)", [
        Expectation("F16 unsubscribe", "xmpp", "gateway", "presence unsubscribe",
                    _of(JULIET, ROMEO)),
        Expectation("F17 SUBSCRIBE 0", "gateway", "kamailio", "SUBSCRIBE",
                    _of(JULIET, ROMEO, lambda p: p.header("Expires") == "0"
                        and bool(param(p.header("To"), "tag"))), ("F16 unsubscribe",)),
        Expectation("F20 200", "kamailio", "gateway", "200 SUBSCRIBE", _of(JULIET, ROMEO),
                    ("F17 SUBSCRIBE 0",)),
        Expectation("NOTIFY terminated", "kamailio", "gateway", "NOTIFY",
                    _of(ROMEO, JULIET, lambda p: p.state == "terminated"), ("F17 SUBSCRIBE 0",)),
        Expectation("200 terminated", "gateway", "kamailio", "200 NOTIFY", _of(ROMEO, JULIET),
                    ("NOTIFY terminated",)),
        Expectation("F21 unsubscribed", "gateway", "xmpp", "presence unsubscribed",
                    _of(ROMEO, JULIET), ("F17 SUBSCRIBE 0",))])


def _show(packet: Packet) -> str:
    for child in packet.stanza:
        if child.tag.endswith("}show"):
            return child.text or ""
    return ""


def forbidden(packets: list[Packet]) -> list[str]:
    """What must not be on the wire, whatever else is."""
    faults = []
    watched = {_dialog(p) for p in packets if p.source == "gateway" and p.kind == "SUBSCRIBE"}
    if any(p.source == "gateway" and p.kind == "NOTIFY" and _dialog(p) in watched for p in packets):
        faults.append("the gateway sent NOTIFY as a subscriber (RFC 6665 §4.4.1)")
    active = next((p.at for p in packets if p.source == "kamailio" and p.kind == "NOTIFY"
                   and p.state == "active" and p.target == "gateway"), float("inf"))
    if any(p.source == "gateway" and p.kind in ("presence available", "presence subscribed")
           and p.end("from") == ROMEO and p.at < active for p in packets):
        faults.append("presence from romeo before his NOTIFY active (RFC 8048 §5.2.1)")
    for p in packets:
        if p.target == "romeo" and p.sip and p.sip.is_request and p.end("To") != ROMEO:
            faults.append(f"romeo got what is for {p.end('To')} (RFC 8048 §8.2)")
    return faults


def strangers(looked: list[Flow]) -> list[str]:
    """Cancellations outside the dialog that they should end."""
    pairs = {"F2 SUBSCRIBE": "F17 SUBSCRIBE 0", "F26 SUBSCRIBE": "SUBSCRIBE 0"}
    found = {name: packet for flow in looked for name, packet in flow.found.items()}
    return [f"{last} is in another dialog than {first}" for first, last in pairs.items()
            if first in found and last in found and _dialog(found[first]) != _dialog(found[last])]
