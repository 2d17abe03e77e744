#!/usr/bin/env python3
"""Guards what the core and the codecs cost: instructions per event, counted by callgrind.

bench_steps always says the same to the core, so its count depends on the code alone (and a little on
the libraries and on the processor's kind), not on who else uses the machine. The figures that hold
are in instructions.json; a path that costs over 5 % more than its figure fails. A change that is
worth its price, or makes a path cheaper, writes them anew:

    bench/instructions.py --steps build/release/bench/bench_steps --update
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = Path(__file__).with_name("instructions.json")
SLACK = 0.05
USERS, ROUNDS = 1000, 5

# The paths in the order in which bench_steps takes them, and the events in each.
PATHS = (
    ("set-up XMPP to SIP", USERS),
    ("set-up SIP to XMPP", USERS),
    ("presence to NOTIFY", USERS * ROUNDS),
    ("NOTIFY to presence", USERS * ROUNDS),
    ("refresh by the SIP side", USERS),
    ("refresh by the gateway", USERS),
    ("refusal at the door", USERS),
)


def counted(steps: Path) -> dict[str, int]:
    """Instructions per event of each path."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no",
             "--toggle-collect=steps_take_*", "--dump-after=path_*",
             f"--callgrind-out-file={folder}/part", steps.resolve(),
             "--users", str(USERS), "--rounds", str(ROUNDS)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found = {}
        for number, (name, events) in enumerate(PATHS, 1):
            text = Path(folder, f"part.{number}").read_text()
            found[name] = int(re.search(r"^summary: (\d+)", text, re.M).group(1)) // events
    return found


def compared(now: dict[str, int], held: dict[str, int]) -> bool:
    """Prints each path beside its figure; whether all hold."""
    good = True
    for name, n in now.items():
        dear, cheap = n > held[name] * (1 + SLACK), n < held[name] * (1 - SLACK)
        verdict = "dearer" if dear else "cheaper: write it down" if cheap else ""
        good = good and not dear
        print(f"{name:26} {n:8} instructions, held to {held[name]:8}: "
              f"{n / held[name] - 1:+7.1%} {verdict}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=Path, default=Path("build/release/bench/bench_steps"))
    parser.add_argument("--update", action="store_true", help="these are the figures from now on")
    options = parser.parse_args()
    now = counted(options.steps)
    if options.update:
        FIGURES.write_text(json.dumps(now, indent=4) + "\n")
    held = json.loads(FIGURES.read_text())
    if held.keys() != now.keys():
        sys.exit(f"{FIGURES.name} speaks of other paths")
    return 0 if compared(now, held) else 1


if __name__ == "__main__":
    sys.exit(main())
