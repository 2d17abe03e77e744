"""The store goes wrong under the real daemon: a full disk, one that can't be written, damage of every
kind. Either it does not start, says why with exit status 3, and leaves every byte as it was; or it
runs, /readyz says what is wrong, nothing that was promised is lost, and it goes on by itself when
the cause is gone.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

BINARY = os.environ["CRASH_BINARY"]
DAMAGED, PATIENCE_S = 3, 20.0
PAGE = 4096
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


def pictures(store: Path) -> dict[str, str]:
    """What is in the files; LMDB's lock files hold who reads, and nothing that was stored."""
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(store.rglob("*")) if p.is_file() and p.name != "lock.mdb"}


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


class Full(StoreTest):
    """
        SUBSCRIBE ─▶ [little room] ─▶ 503 with Retry-After, /readyz 503; all else goes on
        SUBSCRIBE ─▶ [no room] ─▶ no answer, /readyz 503; what was promised stands
        room again ─▶ 200, NOTIFY, by itself
    """

    def fill(self, but: int = 0) -> Path:
        filler = self.store / "filler"
        with open(filler, "wb", buffering=0) as out:
            try:
                while os.statvfs(self.store).f_bavail * PAGE > but or not but:
                    out.write(bytes(PAGE))
            except OSError:
                pass
        return filler

    def fails(self, daemon: Daemon) -> list[str]:
        """New pairs until the store has no room for one more; who they were."""
        asked: list[str] = []

        def one_more() -> str:
            asked.append(f"more{len(asked)}")
            self.sip.subscribes(asked[-1], daemon.ports["sip"])
            return daemon.why_not()
        self.assertRegex(until(one_more, "/readyz 503 of the store"), "no space left|nearly full")
        return asked

    def test_the_last_room_is_for_those_who_are_there(self) -> None:
        self.mount("size=16m")
        daemon = self.running()
        self.watches(daemon, "juliet")
        filler = self.fill(but=512 * 1024)
        self.assertIn("nearly full", until(daemon.why_not, "/readyz 503 of the store"))
        self.sip.subscribes("nurse", daemon.ports["sip"])
        until(lambda: self.sip.status_of("nurse"), "an answer")
        self.assertEqual(self.sip.status_of("nurse"), "503")
        self.assertTrue(self.sip.sees("nurse", "Retry-After: "))
        self.presence_flows("juliet", "cramped")
        filler.unlink()
        until(daemon.is_ready, "ready again, by itself")
        self.watches(daemon, "nurse")

    def test_goes_on_when_there_is_room_again(self) -> None:
        self.mount("size=4m")
        daemon = self.running()
        self.watches(daemon, "juliet", "nurse")
        filler = self.fill()
        asked = self.fails(daemon)
        self.assertLessEqual({"juliet", "nurse"}, daemon.active())
        told = {to for to in asked if self.sip.sees(to)}
        filler.unlink()
        until(daemon.is_ready, "ready again, by itself")
        self.watches(daemon, *asked)
        self.presence_flows("juliet", "roomy")
        daemon.kill()
        daemon = self.running()
        self.assertLessEqual({"juliet", "nurse", *asked, *told}, daemon.active())
        self.assertEqual(daemon.stop(), 0)

    def test_what_was_told_before_a_death_on_a_full_disk_is_there(self) -> None:
        self.mount("size=4m")
        daemon = self.running()
        self.watches(daemon, "juliet")
        filler = self.fill()
        told = {to for to in self.fails(daemon) if self.sip.sees(to)}
        daemon.kill()
        filler.unlink()
        daemon = self.running()
        self.assertLessEqual({"juliet", *told}, daemon.active())

    def test_no_room_at_the_first_start(self) -> None:
        self.mount("size=4m")
        self.fill()
        daemon = self.daemon()
        daemon.start()
        self.assertEqual(daemon.status(), DAMAGED)
        self.assertIn("space", daemon.text())

    def test_no_room_for_another_number_of_shards(self) -> None:
        self.mount("size=4m")
        daemon = self.running()
        self.watches(daemon, "juliet")
        self.assertEqual(daemon.stop(), 0)
        filler = self.fill()
        before = pictures(self.store)
        daemon = self.daemon(shards=3)
        daemon.start()
        self.assertEqual(daemon.status(), DAMAGED)
        self.assertIn("space", daemon.text())
        after = pictures(self.store)
        self.assertEqual({k: after.get(k) for k in before}, before)
        filler.unlink()
        self.assertIn("juliet", self.running(shards=3).active())


class Unwritable(StoreTest):
    def test_read_only_at_start(self) -> None:
        self.mount("size=4m")
        daemon = self.running()
        self.watches(daemon, "juliet")
        daemon.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.store], check=True)
        before = pictures(self.store)
        daemon = self.daemon()
        daemon.start()
        self.assertEqual(daemon.status(), DAMAGED)
        self.assertIn("Read-only", daemon.text())
        self.assertEqual(pictures(self.store), before)

    def test_no_permission_at_start(self) -> None:
        if not ROOT:
            self.skipTest("only root has another user to be")
        daemon = self.running()
        daemon.stop()
        before = pictures(self.store)
        self.folder.chmod(0o755)
        config = self.folder / "gateway.toml"
        config.chmod(0o644)
        ended = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", BINARY, "-c", config],
                               capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(ended.returncode, DAMAGED, ended.stderr)
        self.assertIn("Permission denied", ended.stderr)
        self.assertEqual(pictures(self.store), before)

    def test_another_daemon_holds_it(self) -> None:
        first = self.running()
        self.watches(first, "juliet")
        second = Daemon(self.folder, self.store, self.xmpp.port, self.sip.port)
        second.log = self.folder / "log-2"
        self.addCleanup(second.kill)
        second.start()
        self.assertEqual(second.status(), DAMAGED)
        self.assertRegex(second.text(), "another|in use|holds")
        self.presence_flows("juliet", "still here")


class Lost(StoreTest):
    """
        [its file is removed, moved away or replaced] ─▶ /readyz 503, one line of log
        SUBSCRIBE (new) ─▶ 503 with Retry-After; who was there is served on
        [the same file is back] ─▶ ready, 200, NOTIFY, by itself; nothing is lost
    """

    def notices(self, daemon: Daemon, what: str) -> None:
        self.assertRegex(until(daemon.why_not, "/readyz 503 of the store"), what)
        until(lambda: daemon.text().count("store_lost") == 2, "a line of log for each shard")
        self.assertIn("isthmus_store_lost{shard=\"0\"} 1\n", daemon.metrics())
        self.sip.subscribes("nurse", daemon.ports["sip"])
        until(lambda: self.sip.status_of("nurse"), "an answer")
        self.assertEqual(self.sip.status_of("nurse"), "503")
        self.assertTrue(self.sip.sees("nurse", "Retry-After: "))
        self.presence_flows("juliet", "homeless")
        self.assertEqual(daemon.text().count("store_lost"), 2)

    def recovers(self, daemon: Daemon) -> None:
        until(daemon.is_ready, "ready again, by itself")
        self.assertEqual(daemon.text().count("store_back"), 2)
        self.assertIn("isthmus_store_lost{shard=\"0\"} 0\n", daemon.metrics())
        self.watches(daemon, "nurse")

    def test_the_folder_is_removed(self) -> None:
        daemon = self.running()
        self.watches(daemon, "juliet")
        shutil.rmtree(self.store)
        self.notices(daemon, r"data\.mdb was removed, or moved away")
        self.assertFalse(self.store.exists())
        self.assertEqual(daemon.stop(), 0)

    def test_the_folder_is_moved_away_and_back(self) -> None:
        daemon = self.running()
        self.watches(daemon, "juliet")
        self.store.rename(self.folder / "elsewhere")
        self.notices(daemon, r"data\.mdb was removed, or moved away")
        (self.folder / "elsewhere").rename(self.store)
        self.recovers(daemon)
        daemon.kill()
        self.assertLessEqual({"juliet", "nurse"}, self.running().active())

    def test_other_files_in_their_place(self) -> None:
        """A backup is put in its place: it is what the next start takes."""
        daemon = self.running()
        self.watches(daemon, "juliet")
        backup = self.folder / "backup"
        shutil.copytree(self.store, backup)
        self.watches(daemon, "user1")
        self.store.rename(self.folder / "elsewhere")
        backup.rename(self.store)
        before = pictures(self.store)
        self.notices(daemon, r"data\.mdb is another file than the one in use")
        daemon.kill()
        self.assertEqual(pictures(self.store), before)
        self.assertEqual(self.running().active(), {"juliet"})

    def test_a_disk_that_is_mounted_elsewhere(self) -> None:
        """Unmounted while in use: the empty folder below it is no place for a store."""
        self.mount("size=4m")
        daemon = self.running()
        self.watches(daemon, "juliet")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        subprocess.run(["mount", "--bind", self.store, elsewhere], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", elsewhere])
        subprocess.run(["umount", "-l", self.store], check=True)
        self.notices(daemon, r"data\.mdb was removed, or moved away")
        self.assertEqual(list(self.store.iterdir()), [])
        subprocess.run(["mount", "--bind", elsewhere, self.store], check=True)
        self.recovers(daemon)


class Damaged(StoreTest):
    """Each is found at start: exit status 3, a sentence that names the file, no byte changed."""

    def setUp(self) -> None:
        super().setUp()
        daemon = self.running()
        self.watches(daemon, *(f"user{i}" for i in range(120)))
        self.assertEqual(daemon.stop(), 0)
        self.files = sorted(self.store.glob("gen-*/shard-*/data.mdb"))
        self.assertEqual(len(self.files), 2)

    def refused(self, *words: str) -> None:
        before = pictures(self.store)
        daemon = self.daemon()
        daemon.start()
        self.assertEqual(daemon.status(), DAMAGED, daemon.text())
        for word in words:
            self.assertIn(word, daemon.text())
        self.assertEqual(pictures(self.store), before)

    def test_under_the_running_daemon(self) -> None:
        """LMDB believes what it reads: the process may end, and then it stays down and says why."""
        daemon = self.running()
        self.write(self.files[0], self.live_root(self.files[0], 1), bytes(PAGE))
        for i in range(20):
            self.sip.subscribes(f"late{i}", daemon.ports["sip"])
        time.sleep(0.5)
        daemon.kill()
        self.refused("damaged", "shard-0/data.mdb")

    def write(self, file: Path, at: int, data: bytes) -> None:
        with open(file, "r+b") as out:
            out.seek(at)
            out.write(data)

    def live_root(self, file: Path, tree: int) -> int:
        """Of the newer head: 0 the free pages', 1 the records'."""
        data = file.read_bytes()
        heads = [(struct.unpack_from("<Q", data, page * PAGE + 16 + 24 + 96 + 8)[0], page)
                 for page in (0, 1)]
        at = max(heads)[1] * PAGE + 16 + 24 + tree * 48 + 40
        return struct.unpack_from("<Q", data, at)[0] * PAGE

    def test_meta_page(self) -> None:
        self.write(self.files[0], 16, bytes(4))
        self.refused("damaged", "shard-0/data.mdb", "nothing changed")

    def test_root_of_the_records(self) -> None:
        self.write(self.files[1], self.live_root(self.files[1], 1), bytes(PAGE))
        self.refused("damaged", "shard-1/data.mdb")

    def test_leaf(self) -> None:
        data = self.files[0].read_bytes()
        root = self.live_root(self.files[0], 1)
        if struct.unpack_from("<H", data, root + 10)[0] == 2:
            self.fail("one page holds all records: the test needs more of them")
        first = struct.unpack_from("<H", data, root + 16)[0]
        leaf = struct.unpack_from("<I", data, root + first)[0] * PAGE
        self.write(self.files[0], leaf + 12, b"\xff" * 4)
        self.refused("damaged", "shard-0/data.mdb")

    def test_list_of_free_pages(self) -> None:
        self.write(self.files[0], self.live_root(self.files[0], 0), b"\xff" * 64)
        self.refused("damaged", "shard-0/data.mdb")

    def test_cut_file(self) -> None:
        os.truncate(self.files[0], 3 * PAGE)
        self.refused("damaged", "shard-0/data.mdb")

    def test_empty_file(self) -> None:
        os.truncate(self.files[0], 0)
        self.refused("damaged", "shard-0/data.mdb")

    def test_missing_file(self) -> None:
        self.files[1].unlink()
        self.refused("damaged", "shard-1/data.mdb")

    def test_newer_version(self) -> None:
        """The version is the value of id 1 in `meta`: 4 bytes, little-endian."""
        meta = self.store / "meta" / "data.mdb"
        data = meta.read_bytes()
        changed = 0
        for m in re.finditer(struct.pack("<Q", 1) + struct.pack("<I", 1), data):
            self.write(meta, m.start() + 8, struct.pack("<I", 99))
            changed += 1
        self.assertTrue(changed)
        self.refused("version 99")


if __name__ == "__main__":
    unittest.main()
