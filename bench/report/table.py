"""The table of bars as text, for a terminal or a README."""

from .bars import Row
from .words import number

HEAD = ("what", "Isthmus", "bar", "is", "aim", "÷ floor", "Kamailio ÷", "")


def cells(row: Row) -> list[tuple[str, ...]]:
    """A line for each bar; what they have in common is said once."""
    beside = tuple("" if value is None else number(value) for value in (row.floor, row.kamailio))
    said = []
    for n, bar in enumerate(row.bars):
        own = (row.what, row.ours) if n == 0 else ("", "")
        said.append((*own, bar.bar, bar.measured, bar.aim, *(beside if n == 0 else ("", "")),
                     bar.verdict.upper() if bar.verdict == "missed" else bar.verdict))
    return said


def table(rows: list[Row]) -> str:
    lines = [HEAD] + [line for row in rows for line in cells(row)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEAD))]
    return "\n".join("  ".join(text.ljust(width) if n in (0, 2, 7) else text.rjust(width)
                               for n, (text, width) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def markdown(rows: list[Row]) -> str:
    lines = ["| what | Isthmus | bar | ÷ floor | Kamailio ÷ | |", "|---|---|---|---|---|---|"]
    for row in rows:
        bars = ", ".join(bar.bar + (f" ({bar.measured})" if "× that" in bar.bar else "")
                         for bar in row.bars)
        beside = ("" if value is None else number(value) for value in (row.floor, row.kamailio))
        said = f"**{row.verdict}**" if not row.good else row.verdict
        lines.append("| " + " | ".join((row.what, row.ours, bars, *beside, said)) + " |")
    return "\n".join(lines)
