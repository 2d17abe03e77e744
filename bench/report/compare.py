"""Two files of figures beside each other: what another build, or another day, has changed."""

from .figures import Figure, Figures
from .words import number


def keyed(figures: Figures) -> dict[tuple, Figure]:
    return {(f.bench, f.who, f.what, f.x, f.at, f.unit): f for f in figures.all}


def compared(old: Figures, new: Figures) -> str:
    before, after = keyed(old), keyed(new)
    lines = [f"{'':46} {'old':>12} {'new':>12} {'new ÷ old':>10}"]
    for key, was in before.items():
        now = after.get(key)
        if now is None:
            continue
        bench, who, what, x, at, unit = key
        where = f" {x} {number(at)}" if x else ""
        ratio = f"{now.value / was.value:10.3f}" if was.value else ""
        lines.append(f"{f'{bench} {who} {what}{where}':46} {number(was.value):>12} "
                     f"{number(now.value):>12} {ratio:>10} {unit}".rstrip())
    only = len(before.keys() ^ after.keys())
    if only:
        lines.append(f"{only} figures are in one of them only")
    return "\n".join(lines)
