"""Holds figures against the bars (bars.json): what is to be reached, and whether it is.

A row of bars.json has a name, words, the figure that it is about, and its bars:

    "most": N                 the figure is at most N, and in this "unit"
    "most": N, "to": {…}      the figure divided by another, at most N; "to" is what is different of
                              that other: {"who": "floor"}, {"at": 10000}
    "cheaper": N, "to": {…}   the other figure divided by this one, at least N
    "aim": N                  what to go on for when the bar is reached

Of a figure at several places the worst counts; with "anywhere", of several programs as well.

A row is reached when all its bars are. What was not measured is not reached. A row with "beside" is
there to be seen beside the others: it is held to its bar, and told, but nothing hangs on it. "floor"
is what is different of the floor's figure that stands beside a row's own.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .figures import Figure, Figures
from .words import plain, quantity

BARS = Path(__file__).with_name("bars.json")

AIM, REACHED, MISSED, UNKNOWN = "aim reached", "reached", "missed", "not measured"
WITHIN, ABOVE = "would be reached", "would be missed"  # of what is only to be seen


@dataclass
class Verdict:
    bar: str  # in words
    aim: str
    value: float | None
    against: float  # what the value is held to
    unit: str       # "": a ratio
    verdict: str
    note: str = ""

    @property
    def measured(self) -> str:
        return "–" if self.value is None else quantity(self.value, self.unit, self.against)


@dataclass
class Row:
    name: str
    what: str
    figure: Figure | None
    floor: float | None     # ours divided by the floor's
    kamailio: float | None  # Kamailio's divided by ours
    most: float | None      # the bar for the figure itself, if there is one
    bars: list[Verdict]
    beside: bool = False    # only to be seen

    @property
    def verdict(self) -> str:
        """The worst of its bars; the aim only if every bar that has one is there."""
        verdicts = [bar.verdict for bar in self.bars]
        for worst in (MISSED, UNKNOWN, ABOVE, WITHIN):
            if worst in verdicts:
                return worst
        aims = [bar.verdict for bar in self.bars if bar.aim]
        return AIM if aims and all(verdict == AIM for verdict in aims) else REACHED

    @property
    def good(self) -> bool:
        return self.beside or self.verdict in (AIM, REACHED)

    @property
    def ours(self) -> str:
        """As exact as it takes to see on which side of its bar it is."""
        if not self.figure:
            return "–"
        return quantity(self.figure.value, self.figure.unit, self.most)


def ratio(above: Figure | None, below: Figure | None) -> float | None:
    if not above or not below or below.value <= 0 or above.unit != below.unit:
        return None
    return above.value / below.value


def compare(figures: Figures, wanted: dict, bar: dict) -> tuple[float | None, str]:
    """What the bar speaks of, and what is to be said of it."""
    if "to" not in bar:
        found = figures.one(wanted)
        if found and found.unit != bar["unit"]:
            return None, f"in {found.unit}, not in {bar['unit']}"
        return (found.value if found else None), ""
    ours, theirs, together = figures.pair(wanted, wanted | bar["to"])
    value = ratio(theirs, ours) if "cheaper" in bar else ratio(ours, theirs)
    return value, "" if value is None or together else "of different runs"


def judge(value: float | None, bar: dict, beside: bool) -> str:
    if value is None:
        return UNKNOWN
    if beside:
        return WITHIN if value <= bar["most"] else ABOVE
    if "cheaper" in bar:
        return REACHED if value >= bar["cheaper"] else MISSED
    if value > bar["most"]:
        return MISSED
    return AIM if "aim" in bar and value <= bar["aim"] else REACHED


def in_words(bar: dict, key: str) -> str:
    if key not in bar:
        return ""
    sign = "≥" if key == "cheaper" else "≤"
    if "to" in bar:
        return plain(bar[key]) if key == "aim" else f"{sign} {plain(bar[key])} {bar['words']}"
    if key == "aim":
        return quantity(bar[key], bar["unit"])
    return "0" if bar[key] == 0 else f"{sign} {quantity(bar[key], bar['unit'])}"


def verdict(figures: Figures, wanted: dict, bar: dict, beside: bool) -> Verdict:
    value, note = compare(figures, wanted, bar)
    key = "cheaper" if "cheaper" in bar else "most"
    return Verdict(in_words(bar, key), in_words(bar, "aim"), value, bar[key], bar.get("unit", ""),
                   judge(value, bar, beside), note)


def row(figures: Figures, said: dict) -> Row:
    wanted = said["figure"]
    beside = bool(said.get("beside"))
    ours, floor, _ = figures.pair(wanted, wanted | {"who": "floor"} | said.get("floor", {}))
    ours_then, kamailio, _ = figures.pair(wanted, wanted | {"who": "kamailio"})
    return Row(said["name"], said["what"], figures.one(wanted), ratio(ours, floor),
               ratio(kamailio, ours_then),
               next((bar["most"] for bar in said["bars"] if "to" not in bar), None),
               [verdict(figures, wanted, bar, beside) for bar in said["bars"]], beside)


def rows(figures: Figures, path: Path = BARS) -> list[Row]:
    return [row(figures, said) for said in json.loads(path.read_text(encoding="utf-8"))]
