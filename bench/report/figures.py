"""Reads what the benchmarks found: a file of JSON lines, one object each.

Benchmarks write figures (bench/load/figures.h), and the suite writes what it knows among them:

    {"suite": {…}}            once, first: the machine, when it began
    {"run": "presence-in"}    from here on it is this program that speaks
    {"ended": "presence-in", "status": 0, "seconds": 31.2, …}    how that went

A file that one program wrote by itself has none of those, and is one run without a name.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

FIELDS = ("bench", "who", "what", "unit")


class Unreadable(ValueError):
    """A line that is none of ours."""


@dataclass(frozen=True)
class Figure:
    bench: str
    who: str
    what: str
    unit: str
    value: float
    x: str | None
    at: float | None
    run: int  # which of the file's runs said it

    def is_that(self, wanted: dict) -> bool:
        """Whether a selector means it: {"bench", "what", "who", "at"}; without "at", any place."""
        return (self.bench == wanted["bench"] and self.what == wanted["what"]
                and self.who == wanted.get("who", "isthmus")
                and ("at" not in wanted or self.at == wanted["at"]))


@dataclass
class Run:
    name: str
    status: int | None = None  # None: it never ended
    seconds: float | None = None
    more: dict = field(default_factory=dict)  # what the machine did meanwhile


class Figures:
    def __init__(self) -> None:
        self.suite: dict = {}
        self.runs: list[Run] = [Run("")]
        self.all: list[Figure] = []
        self.unread: list[str] = []

    def take(self, line: str) -> None:
        said = read_object(line)
        if "suite" in said:
            self.suite = said["suite"] if isinstance(said["suite"], dict) else {}
        elif "run" in said:
            self.runs.append(Run(str(said["run"])))
        elif "ended" in said:
            run = self.runs[-1]
            run.status, run.seconds = said.get("status"), said.get("seconds")
            run.more = {k: v for k, v in said.items() if k not in ("ended", "status", "seconds")}
        else:
            self.all.append(read_figure(said, len(self.runs) - 1))

    def named_runs(self) -> list[Run]:
        return [run for run in self.runs if run.name]

    def latest(self, wanted: dict, run: int | None = None) -> list[Figure]:
        """What was said last of each place on the axis, by any run or by one."""
        found = {f.at: f for f in self.all
                 if f.is_that(wanted) and run in (None, f.run)}
        return sorted(found.values(), key=lambda f: (f.at is not None, f.at))

    def worst(self, wanted: dict, run: int | None = None) -> Figure | None:
        """The largest of all places that are meant: every bar is a most."""
        return max(self.latest(wanted, run), key=lambda f: f.value, default=None)

    def runs_for(self, bench: str) -> list[int]:
        """The runs to look at, in this order: the benchmark's own, then the others, latest first."""
        numbers = range(len(self.runs) - 1, -1, -1)
        return sorted(numbers, key=lambda n: self.runs[n].name != bench)

    def one(self, wanted: dict) -> Figure | None:
        """With "anywhere" the worst that was ever said: what a scenario's own program did not lose,
        another may, and who says it twice, of two directions, takes back nothing."""
        if wanted.get("anywhere"):
            return max((f for f in self.all if f.is_that(wanted)), key=lambda f: f.value, default=None)
        found = (self.worst(wanted, n) for n in self.runs_for(wanted["bench"]))
        return next((f for f in found if f), None)

    def curve(self, wanted: dict) -> list[Figure]:
        """Over the axis, of the one run that has the most of it: others had other circumstances."""
        runs = [[f for f in self.latest(wanted, n) if f.at is not None]
                for n in self.runs_for(wanted["bench"])]
        return max(runs, key=len)

    def pair(self, ours: dict, theirs: dict) -> tuple[Figure | None, Figure | None, bool]:
        """Two figures to be compared, from one run if any has both; whether it had."""
        for number in self.runs_for(ours["bench"]):
            a, b = self.worst(ours, number), self.worst(theirs, number)
            if a and b:
                return a, b, True
        return self.one(ours), self.one(theirs), False


def refuse_constant(name: str) -> float:
    raise Unreadable(f"{name} is no number")


def read_object(line: str) -> dict:
    try:
        said = json.loads(line, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(f"no JSON: {error.msg}") from error
    if not isinstance(said, dict):
        raise Unreadable("no object")
    return said


def number(said: dict, name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unreadable(f"{name} is no number")
    return float(value)


def read_figure(said: dict, run: int) -> Figure:
    for name in FIELDS:
        if not isinstance(said.get(name), str) or not said[name]:
            raise Unreadable(f"no {name}")
    x = said.get("x")
    if x is not None and not isinstance(x, str):
        raise Unreadable("x is no name")
    return Figure(*(said[name] for name in FIELDS), number(said, "value"), x,
                  None if x is None else number(said, "at"), run)


def read(path: Path) -> Figures:
    figures = Figures()
    text = path.read_text(encoding="utf-8", errors="replace")
    for n, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            figures.take(line)
        except Unreadable as error:
            figures.unread.append(f"line {n}: {error}")
    return figures
