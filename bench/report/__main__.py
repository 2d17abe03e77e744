"""
python3 -m report all [--gateway FILE] [--binaries DIR] [--load N]    runs the suite, makes the report
python3 -m report report [--markdown] [FIGURES]    makes the report of what there is; or only a table
python3 -m report compare OLD NEW       two files of figures beside each other

`./dev bench` does it from the top of the tree. The report goes to build/bench. Exit status: 0 if all
programs ended well and all bars are reached.
"""

import argparse
import signal
import sys
from pathlib import Path

from . import suite
from .compare import compared
from .figures import read
from .report import Report
from .table import markdown, table

TOP = Path(__file__).resolve().parent.parent.parent
FIGURES = Path("build/bench/figures.jsonl")


def make(figures: Path) -> int:
    report = Report(figures)
    report.write(figures.parent)
    print(f"\n{table(report.rows)}\n")
    for said in report.noise:
        print(f"not quiet: {said}")
    print(f"{figures.parent}/report.html, report.json")
    if report.missed:
        print("missed:", *report.missed, sep="\n    ")
    return 1 if report.missed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    everything = commands.add_parser("all")
    everything.add_argument("--gateway", type=Path, default=Path("build/release/isthmus"))
    everything.add_argument("--binaries", type=Path, default=Path("build/release/bench"),
                            help="the folder of the bench_* programs")
    everything.add_argument("--load", type=float, default=0.0,
                            help="the load average before the tree was built")
    everything.add_argument("--figures", type=Path, default=FIGURES)
    again = commands.add_parser("report")
    again.add_argument("figures", type=Path, nargs="?", default=FIGURES)
    again.add_argument("--markdown", action="store_true", help="only the table, as Markdown")
    both = commands.add_parser("compare")
    both.add_argument("old", type=Path)
    both.add_argument("new", type=Path)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.command == "compare":
        for path in (options.old, options.new):
            if not path.is_file():
                sys.exit(f"no figures: {path} is not there")
        print(compared(read(options.old), read(options.new)))
        return 0
    if options.command == "all":
        suite.run(TOP, options.binaries, options.gateway, options.figures, options.load,
                  suite.benchmarks())
    if not options.figures.is_file():
        sys.exit(f"no figures: {options.figures} is not there")
    if options.command == "report" and options.markdown:
        print(markdown(Report(options.figures).rows))
        return 0
    return make(options.figures)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # what was measured stays: `report` makes a report of it
        sys.exit(130)
