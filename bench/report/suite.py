"""Runs the benchmarks (suite.json) in their order, each within its time.

One that fails, takes too long or is not there does not keep the others from running; it makes the
whole fail. What they find goes to one file of JSON lines, in which the suite says who speaks.
"""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import machine

SUITE = Path(__file__).with_name("suite.json")
TIME_S = 1110        # all of them together: with the build and the report it is 20 minutes
PARTING_S = 5        # to end when asked to
SKIPPED = 77         # how programs of tests say that something is not installed
TOO_LATE, NOT_THERE = -100, -101  # as an exit status, which is else the program's, or minus a signal


@dataclass
class Benchmark:
    name: str
    limit_s: float
    args: list[str] = field(default_factory=list)
    gateway: bool = True  # it has one, and may be told which


def benchmarks(path: Path = SUITE) -> list[Benchmark]:
    return [Benchmark(**said) for said in json.loads(path.read_text(encoding="utf-8"))]


def program(folder: Path, name: str) -> Path:
    return folder / f"bench_{name.replace('-', '_')}"


def put_down(process: subprocess.Popen) -> None:
    """It and all that it has started: they are a group of processes of their own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(PARTING_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


class Held:
    """Keeps Ctrl-C waiting: between a program's start and our knowing of it nobody would end it."""

    def __init__(self) -> None:
        self.came = False
        self.before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
        for sign, handler in self.before.items():
            if callable(handler):
                signal.signal(sign, self.take)

    def take(self, *_) -> None:
        self.came = True

    def release(self) -> None:
        for sign, handler in self.before.items():
            signal.signal(sign, handler)


def run_program(command: list[str], limit_s: float) -> int:
    held = Held()
    try:
        process = subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        held.release()
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_THERE
    try:
        held.release()
        if held.came:
            raise KeyboardInterrupt
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: not done after {limit_s:.0f} s, which is its time", file=sys.stderr)
        return TOO_LATE
    finally:
        put_down(process)


class Journal:
    """The file of figures, as far as the suite writes it. The programs append to it meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def say(self, what: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what, ensure_ascii=False) + "\n")


def run_one(one: Benchmark, command: list[str], journal: Journal, limit_s: float) -> None:
    journal.say({"run": one.name})
    before = machine.moment()
    status = run_program(command, limit_s)
    after = machine.moment()
    journal.say({"ended": one.name, "status": status, "seconds": round(after.at_s - before.at_s, 1)}
                | machine.between(before, after))


def run(tree: Path, binaries: Path, gateway: Path, figures: Path, load: float,
        suite: list[Benchmark]) -> None:
    journal = Journal(figures)
    end_s = time.monotonic() + TIME_S
    journal.say({"suite": {"began": datetime.datetime.now().astimezone().isoformat("T", "seconds"),
                           "load": load, "machine": machine.describe(tree, gateway)}})
    for one in suite:
        print(f"\n── {one.name}", flush=True)
        of = ["--gateway", str(gateway)] if one.gateway else []
        command = [str(program(binaries, one.name)), *of, "--figures", str(figures), *one.args]
        run_one(one, command, journal, min(one.limit_s, max(end_s - time.monotonic(), 0)))
