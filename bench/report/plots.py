"""Draws the figures: gnuplot makes SVG of them, which takes its colours from the page around it."""

import re
import subprocess
from dataclasses import dataclass, field

from .figures import Figure, Figures

WHO = {"isthmus": "Isthmus", "floor": "the floor", "kamailio": "Kamailio"}

# What gnuplot is told to draw in, and what becomes of it: names of the page's style (page.css).
COLOURS = {"isthmus": 1, "floor": 2, "kamailio": 3}


@dataclass(frozen=True)
class Curve:
    """One figure over its axis, of whoever has it."""
    what: str
    label: str = ""
    style: int = 0   # dashes and points


@dataclass(frozen=True)
class Plot:
    name: str
    title: str
    bench: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    log: str = ""  # axes
    main: bool = True  # one of those that the page begins with
    options: tuple[str, ...] = field(default_factory=tuple)


def latency(bench: str, title: str, suffix: str = "", main: bool = True) -> Plot:
    whats = ("p50", "p99", "p99.9", "max")
    return Plot(f"latency-{bench}{suffix}", f"Latency against load: {title}", bench,
                "load, of the peak", "µs",
                tuple(Curve(what + suffix, what, style=n) for n, what in enumerate(whats)),
                "y", main, ("set format y '%.0f'", "set format x '%.0f %%'", "scale = 100",
                            "set xrange [0:100]"))


def cpu(bench: str, title: str) -> Plot:
    return Plot(f"cpu-{bench}", f"CPU against subscriptions: {title}", bench, "subscriptions",
                "µs per event", (Curve("cpu"),), "xy")


PLOTS = (
    Plot("throughput-shards", "Throughput against shards", "shards", "shards; of Kamailio workers", "events per second",
         (Curve("throughput"),), options=("set xtics 1", "set yrange [0:*]")),
    Plot("cpu-shards", "CPU against shards", "shards", "shards", "µs per event", (Curve("cpu"),),
         options=("set xtics 1", "set yrange [0:*]"), main=False),
    latency("presence-in", "presence → NOTIFY"),
    latency("notify-in", "NOTIFY → presence"),
    latency("subscribe", "set-up XMPP → SIP", "-watch", main=False),
    latency("subscribe", "set-up SIP → XMPP", "-serve", main=False),
    cpu("presence-in", "presence → NOTIFY → 200"),
    cpu("notify-in", "NOTIFY → 200, presence"),
    Plot("memory", "Memory against subscriptions", "idle", "subscriptions", "bytes each",
         (Curve("memory", "both"), Curve("memory-watch", "XMPP → SIP", style=1),
          Curve("memory-serve", "SIP → XMPP", style=2)), "xy"),
    Plot("cpu-idle", "CPU at rest against subscriptions", "idle", "subscriptions", "% of a core",
         (Curve("cpu"),), "x", options=("set yrange [0:*]",)),
    Plot("files", "Files against subscriptions", "idle", "subscriptions", "bytes each",
         (Curve("store", "in the store"), Curve("mapped", "of it in memory", style=1)), "x",
         main=False, options=("set yrange [0:*]",)),
    Plot("overload", "What is done of too much", "overload", "load, of the capacity",
         "set-ups per second", (Curve("goodput-serve", "done within a second"),
                                Curve("refused-serve", "refused", style=1)), main=False,
         options=("set yrange [0:*]",)),
    Plot("restart", "Restart against subscriptions", "restart", "subscriptions", "seconds",
         (Curve("ready", "ready"), Curve("cpu", "CPU of it", style=1),
          Curve("all-refreshed", "all refreshed", style=2)), "xy", main=False),
)

DASHES = ("1", "2", "(2,3)", "4")
POINTS = (7, 5, 9, 13)


def lines(plot: Plot, figures: Figures) -> list[tuple[str, Curve, list[Figure]]]:
    """What there is to be drawn: whose, which curve, its points."""
    found = []
    for who in WHO:
        for curve in plot.curves:
            said = figures.curve({"bench": plot.bench, "what": curve.what, "who": who})
            points = [f for f in said if positive(f, plot.log)]
            if points:
                found.append((who, curve, points))
    return found


def positive(figure: Figure, log: str) -> bool:
    """A logarithmic axis has no place for others."""
    return ("x" not in log or figure.at > 0) and ("y" not in log or figure.value > 0)


def script(plot: Plot, found: list[tuple[str, Curve, list[Figure]]]) -> str:
    rows = (len(found) + 1) // 2
    said = ["set encoding utf8", f"set terminal svg noenhanced size 560,{320 + 18 * rows} font 'sans,13'",
            f"set bmargin {4 + rows}", "set key below maxcols 2", "set grid", "set border 3",
            "set tics nomirror", "set offsets graph 0.05, graph 0.05", "scale = 1",
            f"set xlabel '{plot.x}'", f"set ylabel '{plot.y}'", "set format y '%g'",
            "set format x '%.0s%c'" if "x" in plot.log else "set format x '%g'"]
    said += [f"set logscale {axis}" for axis in plot.log]
    said += plot.options
    for n, (_, _, points) in enumerate(found):
        said += [f"$line{n} << END", *(f"{f.at:.10g} {f.value:.10g}" for f in points), "END"]
    said.append("plot " + ", ".join(drawn(n, who, curve) for n, (who, curve, _) in enumerate(found)))
    return "\n".join(said) + "\n"


def drawn(n: int, who: str, curve: Curve) -> str:
    title = WHO[who] + (f", {curve.label}" if curve.label else "")
    return (f"$line{n} using ($1*scale):2 with linespoints lw 2 ps 0.8 dt {DASHES[curve.style]} "
            f"pt {POINTS[curve.style]} lc rgb '#00000{COLOURS[who]}' title '{title}'")


def dressed(svg: str, plot: Plot) -> str:
    """Colours as names, no size of its own, and no name that another plot has as well."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<title>[^<]*</title>\s*<desc>[^<]*</desc>", "", svg, count=1)
    svg = re.sub(r"<filter.*?</filter>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\swidth="\d+" height="\d+"', f' role="img" aria-label="{plot.title}"', svg,
                 count=1)
    svg = re.sub(r' color="(black|white|gray)"', "", svg)
    svg = re.sub(r' font-family="[^"]*"', "", svg)
    svg = re.sub(r"""(fill|stroke)=["']black["']""", r'\1="currentColor"', svg)
    svg = re.sub(r"""stroke=["']gr[ae]y["']""", 'stroke="var(--grid)"', svg)
    for who, n in COLOURS.items():
        svg = re.sub(rf"""(['"])rgb\(\s*0,\s*0,\s*{n}\)\1""", f'"var(--{who})"', svg)
    svg = re.sub(r"""id=(["'])([^"']*)\1""", rf'id="{plot.name}-\2"', svg)
    return re.sub(r"""href=(["'])#([^"']*)\1""", rf'href="#{plot.name}-\2"', svg)


def draw(plot: Plot, figures: Figures) -> str | None:
    """SVG; none if there is nothing to be drawn."""
    found = lines(plot, figures)
    if not found:
        return None
    done = subprocess.run(["gnuplot", "-"], input=script(plot, found), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:  # else it only warns, of axes on which all values are the same
        raise RuntimeError(f"gnuplot, {plot.name}: {done.stderr}")
    return dressed(done.stdout, plot)
