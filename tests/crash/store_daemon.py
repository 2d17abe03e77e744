"""The real daemon with a store of its own, between an XMPP server that says yes to all and a SIP side
that subscribes.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

BINARY = os.environ["CRASH_BINARY"]
PATIENCE_S = 20.0
ROOT = os.geteuid() == 0
SUBSCRIBE = """SUBSCRIBE sip:{to}@example.com SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{branch}\r
Max-Forwards: 70\r
From: <sip:{who}@example.net>;tag={who}\r
To: <sip:{to}@example.com>\r
Call-ID: {who}-{to}@load\r
CSeq: 1 SUBSCRIBE\r
Contact: <sip:{who}@127.0.0.1:{port}>\r
Event: presence\r
Expires: 3600\r
Content-Length: 0\r
\r
"""
CONFIG = """[gateway]
shards = {shards}
store = "{store}"
[xmpp]
server = "127.0.0.1:{xmpp}"
secret = "mellon"
[sip]
listen = ["udp:127.0.0.1:{sip}", "tcp:127.0.0.1:{sip}"]
shard_port = {shard}
advertise = "127.0.0.1"
proxy = "sip:127.0.0.1:{peer};transport=udp"
[trust]
sip_domains = ["example.net"]
xmpp_domains = ["example.com"]
sip_sources = ["127.0.0.0/8"]
[api]
listen = "127.0.0.1:{api}"
[limits]
new_subscriptions_per_user_per_min = 1000000
"""


def until(check, what: str, patience_s: float = PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not (seen := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.05)
    return seen


class XmppServer(threading.Thread):
    """Takes any component, approves every `subscribe`, and shows who is probed as available."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stream: socket.socket | None = None
        self.start()

    def run(self) -> None:
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        seen, up = "", False
        while data := self._read(stream):
            seen += data
            if not up and "<stream:stream" in seen:
                stream.sendall(b"<stream:stream xmlns='jabber:component:accept' xmlns:stream="
                               b"'http://etherx.jabber.org/streams' from='example.net' id='x'>")
                seen, up = "", True
            elif "</handshake>" in seen:
                stream.sendall(b"<handshake/>")
                if self.stream:
                    self.stream.close()
                seen, self.stream = "", stream
            else:
                seen = self._answer(stream, seen)

    @staticmethod
    def _read(stream: socket.socket) -> str:
        try:
            return stream.recv(1 << 16).decode()
        except OSError:
            return ""

    @staticmethod
    def _answer(stream: socket.socket, seen: str) -> str:
        end = 0
        for m in re.finditer(r"<presence [^>]*type='subscribe'[^>]*>", seen):
            ours, theirs = (re.search(f" {name}='([^']*)'", m[0])[1] for name in ("to", "from"))
            stream.sendall(f"<presence from='{ours}' to='{theirs}' type='subscribed'/>"
                           f"<presence from='{ours}/b' to='{theirs}'/>".encode())
            end = m.end()
        return seen[end:][-4096:]

    def shows(self, who: str, watcher: str, status: str) -> None:
        self.stream.sendall(f"<presence from='{who}@example.com/b' to='{watcher}@example.net'>"
                            f"<status>{status}</status></presence>".encode())

    def close(self) -> None:
        self.listener.close()
        if self.stream:
            self.stream.close()


class SipSide(threading.Thread):
    """Answers every NOTIFY with 200, and keeps what it hears."""

    def __init__(self):
        super().__init__(daemon=True)
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind(("127.0.0.1", 0))
        self.port = self.wire.getsockname()[1]
        self.heard: list[str] = []
        self.branch = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                data, source = self.wire.recvfrom(1 << 16)
            except OSError:
                return
            message = data.decode()
            self.heard.append(message)
            if not message.startswith("SIP/2.0"):
                kept = [line for line in message.split("\r\n\r\n")[0].split("\r\n")[1:]
                        if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
                self.wire.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "",
                                              ""]).encode(), source)

    def subscribes(self, to: str, port: int, who: str = "romeo") -> None:
        self.branch += 1
        self.wire.sendto(SUBSCRIBE.format(to=to, who=who, port=self.port,
                                          branch=f"{who}{to}{self.branch}").encode(),
                         ("127.0.0.1", port))

    def status_of(self, to: str, who: str = "romeo") -> str:
        """Of the answer to that SUBSCRIBE: "200", or "" if there is none."""
        return next((m[8:11] for m in self.heard if m.startswith("SIP/2.0")
                     and f"Call-ID: {who}-{to}@load" in m), "")

    def sees(self, to: str, text: str = "Subscription-State: active", who: str = "romeo") -> bool:
        return any(text in m and f"Call-ID: {who}-{to}@load" in m for m in self.heard)

    def close(self) -> None:
        self.wire.close()


def free_port(count: int = 1) -> int:
    for first in range(14000 + os.getpid() % 1000, 30000, count):
        try:
            for port in range(first, first + count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


class Daemon:
    def __init__(self, folder: Path, store: Path, xmpp: int, peer: int, shards: int = 2):
        self.folder, self.store, self.shards = folder, store, shards
        first = free_port(10)
        self.ports = {"sip": first, "shard": first + 2, "api": first + 1, "xmpp": xmpp,
                      "peer": peer}
        self.process: subprocess.Popen | None = None
        self.log = folder / "log"

    def start(self, descriptors: int = 0) -> None:
        """0: as many as there are."""
        limited = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        config = self.folder / "gateway.toml"
        config.write_text(CONFIG.format(shards=self.shards, store=self.store, **self.ports))
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*limited, BINARY, "-c", str(config)],
                                            stderr=out)

    def status(self) -> int:
        """Its exit status; it has to end by itself."""
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("it runs") from None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['api']}{path}",
                                        timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)
        except OSError:
            return 0, {}

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['api']}/metrics",
                                    timeout=10) as answer:
            return answer.read().decode()

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def why_not(self) -> str:
        """What /readyz says of the store; "": nothing."""
        status, body = self.get("/readyz")
        why = [f["why"] for f in body.get("failing", []) if f["part"] == "store"]
        return why[0] if status == 503 and why else ""

    def active(self) -> set[str]:
        items = self.get("/v1/subscriptions?limit=1000&state=active")[1].get("items", [])
        return {item["xmpp"].partition("@")[0] for item in items}

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.status()


class StoreTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="isthmus-disaster-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.xmpp, self.sip = XmppServer(), SipSide()
        self.addCleanup(self.xmpp.close)
        self.addCleanup(self.sip.close)
        self.store = self.folder / "store"

    def daemon(self, shards: int = 2) -> Daemon:
        daemon = Daemon(self.folder, self.store, self.xmpp.port, self.sip.port, shards)
        self.addCleanup(daemon.kill)
        return daemon

    def running(self, shards: int = 2) -> Daemon:
        daemon = self.daemon(shards)
        daemon.start()
        until(daemon.is_ready, "ready")
        return daemon

    def mount(self, options: str) -> None:
        if not ROOT:
            self.skipTest("only root can mount")
        self.store.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self.store],
                                 capture_output=True, text=True)
        if mounted.returncode:
            self.skipTest(f"no mount is permitted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.store])

    def watches(self, daemon: Daemon, *who: str) -> None:
        for to in who:
            self.sip.subscribes(to, daemon.ports["sip"])
        until(lambda: all(self.sip.sees(to) for to in who), "NOTIFY active")

    def presence_flows(self, to: str, status: str, patience_s: float = PATIENCE_S) -> None:
        def shown() -> bool:
            self.xmpp.shows(to, "romeo", status)
            return self.sip.sees(to, f">{status}<")
        until(shown, f"presence of {to}", patience_s)
