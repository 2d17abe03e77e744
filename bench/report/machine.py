"""Tells on which machine figures were taken, and whether it had anything else to do."""

import os
import platform
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Above these the machine was not quiet. A daemon or two that wake up now and then stay below.
LOAD = 0.5      # processes that wanted to run, over the last minute, before the suite began
OTHERS = 0.1    # cores that were busy with something else
STOLEN = 0.01   # share of the time in which the host did not let this virtual machine run


def said_by(*command: str) -> str:
    """Nothing, if there is no such program."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False)
    return done.stdout.strip()


def field_of(path: str, name: str) -> str:
    try:
        found = re.search(rf"^{name}\s*[:=]\s*\"?(.*?)\"?$", Path(path).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def libraries(binary: Path) -> dict[str, str]:
    """The packages, with their versions, of the libraries that the gateway is linked with."""
    files = re.findall(r"=> (/\S+)", said_by("ldd", str(binary)))
    if not files:
        return {}
    owners = said_by("dpkg", "-S", *files, *map(os.path.realpath, files))
    packages = set(re.findall(r"^([a-z0-9.+-]+)(?::\w+)?: /", owners, re.MULTILINE))
    if not packages:
        return {}
    versions = said_by("dpkg-query", "-W", "-f=${Package} ${Version}\n", *sorted(packages))
    return dict(line.split(" ", 1) for line in versions.splitlines())


def commit(tree: Path) -> str:
    """Of the tree, if it is known; with a + if the tree differs from it."""
    known = said_by("git", "-C", str(tree), "rev-parse", "--short=12", "HEAD")
    changed = said_by("git", "-C", str(tree), "status", "--porcelain", "--untracked-files=no")
    return known + ("+" if known and changed else "")


def describe(tree: Path, binary: Path) -> dict:
    kamailio = said_by("dpkg-query", "-W", "-f=${Version}", "kamailio")
    return {
        "name": platform.node(),
        "system": field_of("/etc/os-release", "PRETTY_NAME"),
        "kernel": platform.release(),
        "processor": field_of("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "commit": commit(tree),
        "libraries": libraries(binary) | ({"kamailio": kamailio} if kamailio else {}),
    }


@dataclass
class Moment:
    """How busy the machine has been until now, and how much of that was ours."""
    at_s: float
    busy_s: float    # all programs, summed over the cores
    stolen_s: float
    all_s: float
    ours_s: float    # of programs that we started and that have ended


def moment(stat: str | None = None) -> Moment:
    text = Path("/proc/stat").read_text() if stat is None else stat
    ticks = [int(n) / os.sysconf("SC_CLK_TCK") for n in text.split("\n", 1)[0].split()[1:9]]
    ticks += [0.0] * (8 - len(ticks))
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Moment(time.monotonic(), ticks[0] + ticks[1] + ticks[2], ticks[7], sum(ticks),
                  ours.ru_utime + ours.ru_stime)


def between(before: Moment, after: Moment) -> dict[str, float]:
    """`others`: cores that were busy with other programs; `stolen`: share of time."""
    seconds = max(after.at_s - before.at_s, 0.001)
    others = (after.busy_s - before.busy_s - (after.ours_s - before.ours_s)) / seconds
    stolen = (after.stolen_s - before.stolen_s) / max(after.all_s - before.all_s, 0.001)
    return {"others": round(max(others, 0.0), 3), "stolen": round(stolen, 4)}


def noise(suite: dict, runs: list) -> list[str]:
    """What was not quiet, in words."""
    said = []
    load = suite.get("load")
    if isinstance(load, int | float) and load > LOAD:
        said.append(f"the load average was {load:.2f} when the suite began")
    for key, limit, words in (
            ("others", OTHERS, "other programs took up to {:.2f} cores"),
            ("stolen", STOLEN, "the host took up to {:.1%} of the processors' time")):
        noisy = {run.name: run.more[key] for run in runs
                 if isinstance(run.more.get(key), int | float) and run.more[key] > limit}
        if noisy:
            said.append(f"{words.format(max(noisy.values()))} during {', '.join(noisy)}")
    return said
