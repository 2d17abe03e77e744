"""Writes numbers and units as people read them."""

UNITS = {"us": "µs", "% of a core": "%", "1": "", "events": ""}  # others as they are


def number(value: float, digits: int = 3) -> str:
    """With so many digits that count, and never an exponent."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    after = max(digits - whole, 0)
    if whole == 0:  # 0.00123: the zeros behind the point don't count
        after = digits + len(f"{abs(value):.12f}"[2:]) - len(f"{abs(value):.12f}"[2:].lstrip("0"))
    return f"{value:,.{min(after, 12)}f}"


def plain(value: float) -> str:
    """As it was written: 2.5, not 2.50."""
    return f"{value:,.12g}"


def number_beside(value: float, bar: float) -> str:
    """With enough digits to see on which side of the bar it is."""
    for digits in range(3, 15):
        said = number(value, digits)
        shown = float(said.replace(",", ""))
        if (shown > bar) == (value > bar) and (shown < bar) == (value < bar):
            return said
    return repr(value)


def unit(name: str) -> str:
    """What is counted is in the words beside it: us/event is µs."""
    if name == "events/s":
        return name
    name = name.partition("/")[0]
    return UNITS.get(name, name)


def quantity(value: float, name: str, bar: float | None = None) -> str:
    for larger in ("ms", "s"):
        if name in ("us", "ms") and value >= 1000:
            value, name, bar = value / 1000, larger, None if bar is None else bar / 1000
    said = number(value) if bar is None else number_beside(value, bar)
    return f"{said} {unit(name)}".rstrip()
