"""Figures that nobody has measured: a file of them in which every bar is reached, and ways to change it."""

import json
import tempfile
from pathlib import Path

from report.figures import Figures, read
from report.report import Report


def figure(bench: str, what: str, unit: str, value: float, who: str = "isthmus", **place) -> dict:
    return {"bench": bench, "who": who, "what": what, "unit": unit, "value": value, **place}


def each(bench: str, what: str, unit: str, x: str, values: dict[float, float],
         who: str = "isthmus") -> list[dict]:
    return [figure(bench, what, unit, value, who, x=x, at=at) for at, value in values.items()]


def hot(bench: str) -> list[dict]:
    return [{"run": bench},
            *each(bench, "cpu", "us/event", "subscriptions", {10000: 4, 100000: 4.2, 1000000: 5}),
            *each(bench, "cpu-mixed", "us/event", "subscriptions", {10000: 4.9}),
            *each(bench, "cpu", "us/event", "subscriptions", {10000: 2}, "floor"),
            *each(bench, "cpu", "us/event", "subscriptions", {10000: 100}, "kamailio"),
            *each(bench, "p99", "us", "load", {0.5: 400, 0.8: 3000}),
            figure(bench, "commits", "1/event", 0), figure(bench, "lost", "events", 0),
            {"ended": bench, "status": 0, "seconds": 1.5, "others": 0.01, "stolen": 0.0}]


def million(what: str, unit: str, value: float, bench: str = "idle") -> list[dict]:
    return each(bench, what, unit, "subscriptions", {10000: value, 1000000: value})


def good() -> list[dict]:
    return [
        {"suite": {"began": "2026-01-02T03:04:05+00:00", "load": 0.1,
                   "machine": {"name": "here", "cores": 2, "libraries": {"libexample": "1.2"}}}},
        *hot("presence-in"), *hot("notify-in"),
        figure("subscribe", "cpu-watch", "us/subscription", 15),
        figure("subscribe", "cpu-serve", "us/subscription", 20),
        figure("subscribe", "lost", "events", 0),
        figure("refresh", "cpu", "us/refresh", 12),
        *(figure(bench, "lost", "events", 0) for bench in ("login-storm", "fan-out", "mixed")),
        *each("shards", "cpu", "us/event", "shards", {1: 5, 2: 5.1}),
        *each("shards", "throughput", "events/s", "shards", {1: 150000, 2: 290000}),
        figure("overload", "peak-serve", "1/s", 50000),
        *each("overload", "goodput-serve", "1/s", "load", {1: 49000, 2: 41000}),
        *million("memory", "B/subscription", 340), *million("store", "B/subscription", 290),
        *million("cpu", "% of a core", 0.9), *million("ready", "s", 1.9, "restart"),
    ]


def without(lines: list[dict], **fields) -> list[dict]:
    """All but those figures that have all these fields."""
    return [line for line in lines if any(line.get(k) != v for k, v in fields.items())]


def with_value(lines: list[dict], value: float, **fields) -> list[dict]:
    return [line | {"value": value} if all(line.get(k) == v for k, v in fields.items()) else line
            for line in lines]


def text(lines: list) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def figures(lines: list) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.jsonl")
        path.write_text(text(lines))
        return read(path)


def report(lines: list) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.jsonl")
        path.write_text(text(lines))
        return Report(path)


def verdicts(lines: list) -> dict[str, str]:
    return {row.name: row.verdict for row in report(lines).rows}
