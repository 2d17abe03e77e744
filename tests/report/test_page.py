"""The page for people: all that it needs is in it, and nothing that it is told becomes markup."""

import re
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

import made_up
from made_up import figure, good, report, without
from report.page import head_comment, page, prose
from report.plots import PLOTS
from report.report import Report

ALONE = {"meta", "link", "br", "img", "hr"}
EVIL = '<script>alert("&\'")</script>'


class Outline(HTMLParser):
    """Whether what is opened is closed, and what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id"]
        self.refers += [value for name, value in attrs if name in ("href", "xlink:href", "src")]
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ALONE:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in ALONE:
            assert self.open.pop() == tag, tag


class Page(unittest.TestCase):
    def test_is_whole_and_needs_nothing_else(self):
        text = page(report(good()))
        outline = Outline(text)
        self.assertEqual(len(outline.ids), len(set(outline.ids)))
        self.assertGreater(len(outline.refers), 20)
        for refers in outline.refers:
            self.assertTrue(refers.startswith("#"), refers)
            self.assertIn(refers[1:], outline.ids)
        self.assertNotRegex(text, r"url\(|@import|<link|<script")

    def test_plots_are_there(self):
        drawn = {plot.name: plot for plot in PLOTS
                 if plot.name in ("throughput-shards", "latency-presence-in", "cpu-presence-in",
                                  "memory", "cpu-idle", "restart", "files")}
        text = page(report(good()))
        for plot in drawn.values():
            self.assertIn(f'aria-label="{plot.title}"', text)
        self.assertEqual(Outline(text).count["figure"], len(PLOTS))

    def test_all_three_are_drawn_in_the_colours_of_the_page(self):
        text = page(report(good()))
        drawn = re.search(r'aria-label="CPU against subscriptions: presence.*?</svg>', text, re.S)[0]
        for who in ("isthmus", "floor", "kamailio"):
            self.assertIn(f'stroke="var(--{who})"', drawn)
        self.assertNotRegex(text, r"""rgb\(|=["']black|=["']gray""")

    def test_a_plot_of_nothing_says_so(self):
        outline = Outline(page(report([])))
        self.assertNotIn("svg", outline.count)

    def test_what_was_not_measured_is_not_reached(self):
        self.assertNotIn("✓", page(report([])))
        text = page(report(without(good(), bench="refresh")))
        row = re.search(r"<tr><th[^>]*>one refresh.*?</tr>", text)[0]
        self.assertIn("not measured", row)
        self.assertNotIn("✓", row)

    def test_verdicts_stand_in_the_table(self):
        text = page(report(made_up.with_value(good(), 2.0001 * 1e3, what="p99", at=0.5)))
        row = re.search(r"<tr><th[^>]*>presence → NOTIFY, 99th.*?</tr>", text)[0]
        self.assertIn("✗ missed", row)
        self.assertIn("2.0001 ms", row)

    def test_nothing_that_is_told_becomes_markup(self):
        lines = [
            {"suite": {"began": EVIL, "load": 9, "machine":
                       {"name": EVIL, "processor": EVIL, "commit": EVIL, "libraries": {EVIL: EVIL}}}},
            {"run": EVIL},
            figure(EVIL, EVIL, EVIL, 1, EVIL, x=EVIL, at=1),
            figure("presence-in", "cpu", EVIL, 1, EVIL, x=EVIL, at=0.5),
            {"ended": EVIL, "status": EVIL, "seconds": EVIL, "others": 3, "stolen": 1},
        ]
        text = page(report(lines))
        Outline(text)
        self.assertFalse("<script" in text)
        self.assertIn("&lt;script&gt;", text)

    def test_no_file_is_read_for_a_name_that_is_none(self):
        text = page(report([figure("../bench/floor", "cpu", "us", 1)]))
        Outline(text)

    def test_noise_and_failures_are_told(self):
        lines = good() + [{"run": "mixed"},
                          {"ended": "mixed", "status": 1, "others": 0.7, "stolen": 0.2}, "what?"]
        text = page(report(lines))
        for said in ("was not quiet", "0.70 cores during mixed", "20.0% of the processors",
                     "mixed: exit status 1", f"line {len(lines)}: no JSON"):
            self.assertIn(said, text)
        self.assertNotIn("was not quiet", page(report(good())))

    def test_light_dark_and_paper(self):
        text = page(report([]))
        for said in ("color-scheme: light dark", "prefers-color-scheme: dark", "@media print"):
            self.assertIn(said, text)


class Words(unittest.TestCase):
    def test_the_first_lines_of_a_program(self):
        text = head_comment("// One & all\n// of it.\n//\n//   a ─▶ <b>\n#include <x.h>\n// not this\n")
        self.assertEqual(prose(text), "<p>One &amp; all\nof it.</p>\n<pre>  a ─▶ &lt;b&gt;</pre>")


class Files(unittest.TestCase):
    def test_both_are_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "figures.jsonl")
            path.write_text(made_up.text(good()))
            Report(path).write(Path(folder, "deep", "er"))
            made = Path(folder, "deep", "er")
            self.assertIn('"good": true', (made / "report.json").read_text())
            self.assertIn("<!DOCTYPE html>", (made / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
