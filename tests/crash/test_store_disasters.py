"""The store goes wrong under the real daemon: a full disk, one that can't be written, damage of every
kind. Either it does not start, says why with exit status 3, and leaves every byte as it was; or it
runs, /readyz says what is wrong, nothing that was promised is lost, and it goes on by itself when
the cause is gone.
"""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import time
import unittest
from pathlib import Path

from store_daemon import BINARY, PATIENCE_S, ROOT, Daemon, StoreTest, until

DAMAGED = 3
PAGE = 4096


def pictures(store: Path) -> dict[str, str]:
    """What is in the files; LMDB's lock files hold who reads, and nothing that was stored."""
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(store.rglob("*")) if p.is_file() and p.name != "lock.mdb"}


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
