"""All that is known of one run of the suite, and what is to be said of it."""

import datetime
import json
from pathlib import Path

from . import bars, machine
from .figures import Figures, read
from .suite import NOT_THERE, SKIPPED, TOO_LATE


class Report:
    def __init__(self, path: Path) -> None:
        self.figures: Figures = read(path)
        self.rows = bars.rows(self.figures)
        self.runs = self.figures.named_runs()
        self.noise = machine.noise(self.figures.suite, self.runs)

    @property
    def machine(self) -> dict:
        described = self.figures.suite.get("machine")
        return described if isinstance(described, dict) else {}

    @property
    def failed(self) -> list[str]:
        """The programs that did not do what they should, and how."""
        return [f"{run.name}: {ending(run.status)}" for run in self.runs if run.status != 0]

    @property
    def missed(self) -> list[str]:
        """All for which the run is not a good one."""
        return ([f"{row.name}: {row.verdict}" for row in self.rows if not row.good]
                + self.failed + [f"figures, {said}" for said in self.figures.unread])

    def as_json(self) -> dict:
        figures = self.figures
        return {
            "format": 1,
            "made": datetime.datetime.now().astimezone().isoformat("T", "seconds"),
            "good": not self.missed,
            "missed": self.missed,
            "suite": {k: v for k, v in figures.suite.items() if k != "machine"},
            "machine": self.machine,
            "noise": self.noise,
            "runs": [{"name": run.name, "status": run.status, "seconds": run.seconds} | run.more
                     for run in self.runs],
            "bars": [row_as_json(row) for row in self.rows],
            "figures": [vars(figure) for figure in figures.all],
            "unread": figures.unread,
        }

    def write(self, folder: Path) -> None:
        from .page import page  # it knows this module
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8")
        (folder / "report.html").write_text(page(self), encoding="utf-8")


def ending(status: int | None) -> str:
    words = {0: "good", None: "did not end", TOO_LATE: "took too long", NOT_THERE: "is not there",
             SKIPPED: "skipped, as something that it wants is not installed"}
    if isinstance(status, int) and -100 < status < 0:
        return f"killed by signal {-status}"
    return words.get(status, f"exit status {status}")


def row_as_json(row: bars.Row) -> dict:
    return {
        "name": row.name, "what": row.what, "verdict": row.verdict,
        "beside": row.beside,
        "value": row.figure and row.figure.value, "unit": row.figure and row.figure.unit,
        "to_floor": row.floor, "kamailio_to_ours": row.kamailio,
        "bars": [{"bar": bar.bar, "aim": bar.aim, "value": bar.value, "against": bar.against,
                  "verdict": bar.verdict, "note": bar.note} for bar in row.bars],
    }
