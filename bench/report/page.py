"""The report as one page for people: the table of bars, plots, and a section for each scenario."""

import json
import re
from html import escape
from pathlib import Path

from .bars import ABOVE, AIM, MISSED, REACHED, UNKNOWN, WITHIN, Row, Verdict
from .figures import Figure
from .plots import PLOTS, WHO, Plot, draw
from .report import Report, ending
from .suite import benchmarks
from .words import number, plain, quantity

PROGRAMS = Path(__file__).resolve().parent.parent
INSTRUCTIONS = PROGRAMS / "instructions.json"
STYLE = Path(__file__).with_name("page.css")

MARKS = {AIM: ("good", "✓✓ aim reached"), REACHED: ("good", "✓ reached"),
         MISSED: ("missed", "✗ missed"), UNKNOWN: ("unknown", "? not measured"),
         WITHIN: ("faint", "(✓ would be reached)"), ABOVE: ("faint", "(✗ would be missed)")}

HOW = """
<p>All figures are of one run of <code>./dev bench all</code> on one machine. The gateway is the release
build, with one shard unless it is said; a driver plays the XMPP server, the SIP proxy
and all people on both sides, over loopback and UDP.</p>
<ul>
<li><b>CPU</b> is user and system time of the whole process, all threads, divided by the events that
it did; the driver's own is not in it.</li>
<li><b>The floor</b> moves the same bytes through the same kernel calls in the same batches, without
reading them: what no gateway can go below.</li>
<li><b>Kamailio</b> does the same work as a gateway of its own (<code>xmpp</code>, <code>pua_xmpp</code>,
<code>presence</code>), for the same driver.</li>
<li><b>Latency</b> is counted from when an event was meant to begin (open loop), so what waits because
the one before it was late is not forgotten.</li>
<li><b>Memory</b> is what the process has for itself (RssAnon). Pages of the store's files that are
mapped into it are told apart: the kernel takes them back when it needs them.</li>
<li>Ratios are of figures from one run of one program, and so is each curve. Times in µs are of
this machine; the ratios carry over to others.</li>
</ul>
"""


def verdict(said: str) -> str:
    style, words = MARKS[said]
    return f'<span class="verdict {style}">{words}</span>'


def bar_line(bar: Verdict) -> str:
    is_ratio = "×" in bar.bar
    measured = f": <b>{bar.measured}</b>" if is_ratio else ""
    note = f' <small class="faint">({escape(bar.note)})</small>' if bar.note else ""
    return f"<span>{escape(bar.bar)}{measured}{note}</span>"


def bar_row(row: Row) -> str:
    beside = "".join(f'<td class="n">{"" if value is None else number(value) + " ×"}</td>'
                     for value in (row.floor, row.kamailio))
    aims = "".join(f"<span>{escape(bar.aim)}</span>" for bar in row.bars if bar.aim)
    return (f'<tr><th scope="row">{escape(row.what)}</th><td class="n">{escape(row.ours)}</td>'
            f'<td class="bar">{"".join(map(bar_line, row.bars))}</td><td class="bar">{aims}</td>'
            f"{beside}<td>{verdict(row.verdict)}</td></tr>")


def bars_table(report: Report) -> str:
    rows = "\n".join(map(bar_row, report.rows))
    return ('<div class="wide"><table id="bars"><thead><tr><th>what</th><th class="n">Isthmus</th>'
            '<th>bar</th><th>aim</th><th class="n">÷ floor</th>'
            '<th class="n">Kamailio ÷</th><th>verdict</th></tr></thead>'
            f"<tbody>\n{rows}\n</tbody></table></div>")


def figure(plot: Plot, report: Report) -> str:
    svg = draw(plot, report.figures)
    return (f"<figure><figcaption>{escape(plot.title)}</figcaption>"
            f'{svg or "<p>not measured</p>"}</figure>')


def plots(report: Report, chosen: list[Plot]) -> str:
    drawn = "\n".join(figure(plot, report) for plot in chosen)
    return f'<div class="plots">\n{drawn}\n</div>' if chosen else ""


def described(bench: str) -> str:
    """What the program's first lines say of it: text, and what stands indented as it stands."""
    for name in (bench.replace("-", "_") + ".c", bench + "/README.md"):
        source = PROGRAMS / name
        if re.fullmatch(r"[a-z-]+", bench) and source.is_file():
            return prose(head_comment(source.read_text(encoding="utf-8")))
    return ""


def head_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        lines.append(line[2:].removeprefix(" "))
    return "\n".join(lines)


def prose(text: str) -> str:
    said = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        if part.startswith(" "):
            said.append(f"<pre>{escape(part)}</pre>")
        elif part:
            said.append(f"<p>{escape(part)}</p>")
    return "\n".join(said)


def place(x: str | None, at: float | None) -> str:
    if x is None or at is None:
        return ""
    return f"{plain(at)} {x}" if at >= 1 else f"{x} {plain(at)}"


def of_scenario(report: Report, bench: str) -> list[Figure]:
    """What is said of it, its own program last, which is right; and what that says of others."""
    figures = report.figures
    order = figures.runs_for(bench)
    said = [f for f in figures.all if f.bench == bench or figures.runs[f.run].name == bench]
    return sorted(said, key=lambda f: -order.index(f.run))


def figures_table(report: Report, bench: str) -> str:
    """What each has found, beside each other."""
    found: dict[tuple, dict[str, str]] = {}
    for one in of_scenario(report, bench):
        what = one.what if one.bench == bench else f"{one.bench}: {one.what}"
        row = found.setdefault((what, one.unit, place(one.x, one.at)), {})
        row[one.who] = number(one.value)
    columns = [who for who in WHO if any(who in row for row in found.values())]
    columns += sorted({who for row in found.values() for who in row} - set(columns))
    head = "".join(f'<th class="n">{escape(WHO.get(who, who))}</th>' for who in columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(what)}</th><td>{escape(where)}</td>'
        + "".join(f'<td class="n">{row.get(who, "")}</td>' for who in columns)
        + f"<td>{escape(unit)}</td></tr>" for (what, unit, where), row in found.items())
    return ('<div class="wide"><table><thead><tr><th>what</th><th>at</th>'
            f"{head}<th>unit</th></tr></thead><tbody>\n{rows}\n</tbody></table></div>"
            if found else "<p>Nothing was measured.</p>")


def scenario(report: Report, bench: str) -> str:
    runs = [run for run in report.runs if run.name == bench]
    said = "".join(f'<p class="faint">{escape(ending(run.status))}'
                   + (f", {number(run.seconds)} s" if isinstance(run.seconds, int | float) else "")
                   + "</p>" for run in runs)
    own = [plot for plot in PLOTS if plot.bench == bench and not plot.main]
    return (f'<section id="{escape(bench)}"><h2>{escape(bench)}</h2>\n{described(bench)}\n{said}'
            f"{figures_table(report, bench)}\n{plots(report, own)}</section>")


def scenarios(report: Report) -> list[str]:
    known = [one.name for one in benchmarks()]
    return known + sorted({f.bench for f in report.figures.all} - set(known))


def warnings(report: Report) -> str:
    said = ""
    if report.noise:
        said += ('<p class="loud"><b>The machine was not quiet:</b> '
                 + escape("; ".join(report.noise))
                 + ". Latencies suffer most of that, CPU times less. Measure again.</p>")
    faults = report.failed + [f"figures, {line}" for line in report.figures.unread]
    if faults:
        items = "".join(f"<li>{escape(fault)}</li>" for fault in faults)
        said += f'<div class="loud"><b>Not all went well:</b><ul>{items}</ul></div>'
    return said


def instructions() -> str:
    """Of the tree, not of the run: the tests hold the tree to them."""
    if not INSTRUCTIONS.is_file():
        return ""
    rows = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td class="n">{number(n)}</td></tr>'
                     for name, n in json.loads(INSTRUCTIONS.read_text(encoding="utf-8")).items())
    return ('<section id="instructions"><h2>Instructions</h2><p>For each event, in the core and the '
            "codecs alone, without the kernel: counted by callgrind (<code>bench/instructions.py</code>). "
            "The tests hold the tree to these, with 5 % to spare.</p><table><thead><tr><th>what</th>"
            f'<th class="n">instructions</th></tr></thead><tbody>\n{rows}\n</tbody></table></section>')


def machine(report: Report) -> str:
    known = {k: v for k, v in report.machine.items() if k != "libraries" and v}
    if "memory_bytes" in known:
        known["memory"] = quantity(round(known.pop("memory_bytes") / 2 ** 30, 1), "GiB")
    libraries = report.machine.get("libraries") or {}
    known |= {"began": report.figures.suite.get("began", ""), **libraries}
    items = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in known.items())
    return f'<section id="machine"><h2>The machine</h2><dl>{items}</dl></section>'


def summary(report: Report) -> str:
    held = [row for row in report.rows if not row.beside]
    good = sum(row.good for row in held)
    began = str(report.figures.suite.get("began", ""))[:16].replace("T", " ")
    where = [report.machine.get("name"), report.machine.get("processor"),
             f"{report.machine.get('cores', '?')} cores", began,
             f"commit {report.machine['commit']}" if report.machine.get("commit") else ""]
    return (f'<p class="top"><b>{good} of {len(held)}</b> bars are reached. '
            f'<span class="faint">{escape(" · ".join(str(w) for w in where if w))}</span></p>')


def page(report: Report) -> str:
    sections = "\n".join(scenario(report, bench) for bench in scenarios(report))
    links = " · ".join(f'<a href="#{escape(b)}">{escape(b)}</a>' for b in scenarios(report))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What Isthmus costs</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<h1>What Isthmus costs</h1>
{summary(report)}
{warnings(report)}
{bars_table(report)}
<h2 id="plots">Plots</h2>
{plots(report, [plot for plot in PLOTS if plot.main])}
<h2 id="how">How it was measured</h2>
{HOW}
<p>{links} · <a href="#instructions">instructions</a> · <a href="#machine">the machine</a></p>
{sections}
{instructions()}
{machine(report)}
</body>
</html>
"""
