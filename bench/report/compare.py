"""Two files of figures beside each other: what another build, or another day, has changed.

A figure that a file has several times, of a program that ran several times, counts with its median.
"""

import statistics

from .figures import Figures
from .words import number, plain


def medians(figures: Figures) -> dict[tuple, float]:
    found: dict[tuple, list[float]] = {}
    for f in figures.all:
        found.setdefault((f.bench, f.who, f.what, f.x, f.at, f.unit), []).append(f.value)
    return {key: statistics.median(values) for key, values in found.items()}


def line(key: tuple, was: float, now: float) -> str:
    bench, who, what, x, at, unit = key
    name = f"{bench} {who} {what}" + (f" {x} {plain(at)}" if x else "")
    ratio = f"{now / was:.3f}" if was else ""
    return f"{name:46} {number(was):>12} {number(now):>12} {ratio:>10} {unit}"


def compared(old: Figures, new: Figures) -> str:
    before, after = medians(old), medians(new)
    lines = [f"{'':46} {'old':>12} {'new':>12} {'new ÷ old':>10}"]
    lines += [line(key, was, after[key]) for key, was in before.items() if key in after]
    only = len(before.keys() ^ after.keys())
    if only:
        lines.append(f"{only} figures are in one of them only")
    return "\n".join(lines)
