"""The real daemon has no descriptor left. Whoever took them, the others are served, nothing spins, and
it goes on by itself when there are some again.
"""

import os
import resource
import socket
import time
import unittest

from store_daemon import Daemon, StoreTest, until

FEW, MEASURED_S, MOST_CPU = 100, 3.0, 0.25


def in_use(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def cpu_s(daemon: Daemon) -> float:
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Descriptors(StoreTest):
    def setUp(self) -> None:
        super().setUp()
        self.held: list[socket.socket] = []
        self.addCleanup(self.let_go)

    def let_go(self) -> None:
        while self.held:
            self.held.pop().close()

    def connect(self, port: int, count: int) -> None:
        for _ in range(count):
            wire = socket.socket()
            wire.setblocking(False)
            wire.connect_ex(("127.0.0.1", port))
            self.held.append(wire)

    def rests(self, daemon: Daemon) -> None:
        before = cpu_s(daemon)
        time.sleep(MEASURED_S)
        share = (cpu_s(daemon) - before) / MEASURED_S
        self.assertLess(share, MOST_CPU, "of a core")

    def test_sip_connections_leave_enough_for_the_others(self) -> None:
        """
            limit: 100, many more connections to the SIP port ─▶ few are taken
            /readyz ─▶ 200;  SUBSCRIBE over UDP ─▶ 200, NOTIFY
        """
        daemon = self.daemon()
        daemon.start(FEW)
        until(daemon.is_ready, "ready")
        self.connect(daemon.ports["sip"], 2 * FEW)
        self.rests(daemon)
        self.assertLess(in_use(daemon), FEW)
        self.assertIn(f"\nisthmus_descriptors_max {FEW}\n", daemon.metrics())
        self.assertTrue(daemon.is_ready())
        self.watches(daemon, "juliet")
        self.assertNotIn("Too many open files", daemon.text())

    def test_none_is_left(self) -> None:
        """
            limit: what is in use, and connections to the API and the SIP port that wait
            no core is kept busy; SUBSCRIBE over UDP ─▶ 200, NOTIFY; a line of log says why
            limit: as before ─▶ those who wait are taken in, /readyz 200
        """
        daemon = self.running()
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (in_use(daemon) - 1, hard))
        self.connect(daemon.ports["api"], 3)
        self.connect(daemon.ports["sip"], 3)
        self.rests(daemon)
        self.watches(daemon, "juliet")
        self.assertRegex(daemon.text(), r'api_accept_failed why="Too many open files"')
        self.assertLess(daemon.text().count("api_accept_failed"), 5)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        until(daemon.is_ready, "ready again")
        self.presence_flows("juliet", "again")


if __name__ == "__main__":
    unittest.main()
