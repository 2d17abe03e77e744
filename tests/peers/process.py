"""Child processes and the loopback ports they listen on, so that several copies never meet.

Every child has a process group of its own, which is ended as a whole: by us, or by its guard when
we are gone first.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Awaitable, Callable

HOST = "127.0.0.1"
PORTS = range(20000, 32000)  # below the kernel's ephemeral range
GUARD = 'cat; kill -s KILL -- "-$0"'  # cat ends when the pipe's other end does: that is us

_claims: list[socket.socket] = []


class NotReady(Exception):
    """A server did not come up in time."""


def _claim(port: int) -> bool:
    """Ours until this process ends: an abstract socket's name dies with its owner."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0isthmus-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _unused(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def free_ports(count: int = 1) -> int:
    """The first of `count` free ports in a row, free for TCP and UDP."""
    for _ in range(1000):
        first = random.randrange(PORTS.start, PORTS.stop - count)
        if all(_unused(port) and _claim(port) for port in range(first, first + count)):
            return first
    raise RuntimeError("no free loopback ports")


class Child:
    """One server process, in a process group of its own, its output in a log file."""

    def __init__(self, name: str, log: Path):
        self.name = name
        self.log = log
        self.process: subprocess.Popen | None = None
        self.guard: subprocess.Popen | None = None

    def start(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, start_new_session=True)
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, str(self.process.pid)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        """kill -9, and the whole group with it."""
        if self.process is None:
            return
        self._signal_group(signal.SIGKILL)
        self.process.wait()
        self.guard.kill()  # before its pipe closes: the group's number may be another's soon
        self.guard.communicate()

    def stop(self, patience_s: float = 5.0) -> int | None:
        """SIGTERM to the process; whatever of its group is left after `patience_s` is killed."""
        if self.process is None:
            return None
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                pass
        code = self.process.poll()
        self.kill()
        return code

    def log_tail(self, lines: int = 15) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


async def until(check: Callable[[], Awaitable[bool]], child: Child, timeout_s: float = 30) -> None:
    """Polls `check` until it holds; raises NotReady when the child ended or the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        if await check():
            return
        if not child.alive:
            raise NotReady(f"{child.name} ended while starting; {child.log}:\n{child.log_tail()}")
        if time.monotonic() > deadline:
            raise NotReady(f"{child.name} was not ready in {timeout_s:g} s; {child.log}:\n"
                           f"{child.log_tail()}")
        await asyncio.sleep(0.05)


async def accepts(port: int) -> bool:
    """Does something accept TCP connections there?"""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
