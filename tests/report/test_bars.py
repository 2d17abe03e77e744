"""Made-up figures in, verdicts out."""

import json
import unittest

import made_up
from made_up import good, report, verdicts, with_value, without
from report.bars import ABOVE, AIM, BARS, MISSED, REACHED, UNKNOWN, WITHIN
from report.table import markdown, table

OURS = {"who": "isthmus"}
ROWS = json.loads(BARS.read_text())
HELD = [said for said in ROWS if not said.get("beside")]
PRESENCE = {"bench": "presence-in", "what": "cpu", "at": 10000, **OURS}


def figure_of(said: dict) -> dict:
    return {k: v for k, v in (OURS | said["figure"]).items() if k != "anywhere"}


class Verdicts(unittest.TestCase):
    def test_all_reached(self):
        found = verdicts(good())
        self.assertEqual(set(found.values()) - {AIM, REACHED, WITHIN}, set())
        self.assertEqual(report(good()).missed, [])
        self.assertTrue(report(good()).as_json()["good"])

    def test_nothing_measured_is_nothing_reached(self):
        found = report([])
        self.assertEqual({row.verdict for row in found.rows}, {UNKNOWN})
        self.assertEqual(len(found.missed), len(HELD))
        self.assertFalse(found.as_json()["good"])

    def test_each_figure_is_needed(self):
        for said in ROWS:
            with self.subTest(said["name"]):
                wanted = figure_of(said)
                self.assertEqual(verdicts(without(good(), **wanted))[said["name"]], UNKNOWN)

    def test_a_bar_just_missed(self):
        for said in HELD:
            bar = said["bars"][0]
            wanted = figure_of(said)
            of = made_up.figures(good()).one(wanted | bar["to"]).value if "to" in bar else 1
            limit = bar["most"] * of
            with self.subTest(said["name"]):
                at = with_value(good(), limit, **wanted)
                over = with_value(good(), limit * 1.0001 + 1e-9, **wanted)
                self.assertIn(verdicts(at)[said["name"]], (REACHED, AIM))
                self.assertEqual(verdicts(over)[said["name"]], MISSED)
                self.assertIn(f"{said['name']}: missed", report(over).missed)

    def test_what_is_only_to_be_seen_is_told_and_fails_nothing(self):
        for name in ("presence-in", "notify-in"):
            mixed = {"bench": name, "what": "cpu-mixed", "at": 10000, **OURS}
            for value, said in ((5, WITHIN), (5.0001, ABOVE)):  # the floor of equal lengths is 2
                found = report(with_value(good(), value, **mixed))
                row = next(row for row in found.rows if row.name == f"{name}-mixed")
                self.assertEqual((row.verdict, row.floor, row.figure.value),
                                 (said, value / 2, value))
                self.assertEqual(found.missed, [])
            self.assertEqual(verdicts(without(good(), **mixed))[f"{name}-mixed"], UNKNOWN)
            self.assertEqual(report(without(good(), **mixed)).missed, [])

    def test_too_little_cheaper_than_kamailio(self):
        kamailio = PRESENCE | {"who": "kamailio"}
        self.assertEqual(verdicts(with_value(good(), 60, **kamailio))["presence-in"], REACHED)
        self.assertEqual(verdicts(with_value(good(), 59.99, **kamailio))["presence-in"], MISSED)

    def test_half_of_a_bar_is_not_enough(self):
        for who in ("floor", "kamailio"):
            lines = without(good(), **PRESENCE | {"who": who})
            self.assertEqual(verdicts(lines)["presence-in"], UNKNOWN)
            missed = with_value(lines, 1000, **PRESENCE)
            self.assertEqual(verdicts(missed)["presence-in"], MISSED)

    def test_the_aim(self):
        self.assertEqual(verdicts(good())["refresh"], AIM)
        lines = with_value(good(), 12.1, bench="refresh")
        self.assertEqual(verdicts(lines)["refresh"], REACHED)

    def test_another_unit_is_another_figure(self):
        lines = [line | {"unit": "ms"} if line.get("bench") == "restart" else line
                 for line in good()]
        row = next(row for row in report(lines).rows if row.name == "restart")
        self.assertEqual((row.verdict, row.bars[0].note), (UNKNOWN, "in ms, not in s"))

    def test_a_floor_of_nothing_is_none(self):
        lines = with_value(good(), 0, **PRESENCE | {"who": "floor"})
        self.assertEqual(verdicts(lines)["presence-in"], UNKNOWN)

    def test_the_worst_place_counts(self):
        lines = good() + made_up.each("mixed", "lost", "events", "load", {0.5: 0, 0.8: 1, 0.9: 0})
        self.assertEqual(verdicts(lines)["mixed-lost"], MISSED)

    def test_what_another_program_lost_counts(self):
        lines = good() + [{"run": "idle"}, made_up.figure("presence-in", "lost", "events", 1,
                                                          x="subscriptions", at=1000000)]
        self.assertEqual(verdicts(lines)["presence-in-lost"], MISSED)

    def test_what_was_lost_stays_lost(self):
        place = {"x": "subscriptions", "at": 10000}
        one, none = (made_up.figure("subscribe", "lost", "events", n, **place) for n in (1, 0))
        for lines in ([{"run": "vs-kamailio"}, one, none], [{"run": "vs-kamailio"}, none, one],
                      [{"run": "idle"}, one, {"run": "vs-kamailio"}, none]):
            self.assertEqual(verdicts(good() + lines)["subscribe-lost"], MISSED)

    def test_a_ratio_is_of_one_run(self):
        lines = good() + [{"run": "vs-kamailio"},
                          *made_up.each("presence-in", "cpu", "us/event", "subscriptions", {10000: 8}),
                          *made_up.each("presence-in", "cpu", "us/event", "subscriptions",
                                        {10000: 160}, "kamailio")]
        lines = [line for n, line in enumerate(lines)
                 if n > len(good()) or line.get("who") != "kamailio"]
        row = report(lines).rows[0]
        self.assertEqual((row.kamailio, row.floor, row.figure.value), (20, 2, 4))
        self.assertEqual([bar.note for bar in row.bars], ["", ""])

    def test_of_different_runs_is_said(self):
        lines = without(good(), who="kamailio") + [
            {"run": "vs-kamailio"}, *made_up.each("presence-in", "cpu", "us/event", "subscriptions",
                                                  {10000: 160}, "kamailio")]
        self.assertEqual(report(lines).rows[0].bars[1].note, "of different runs")


class Failures(unittest.TestCase):
    def test_a_program_that_failed_is_told(self):
        for status, words in ((3, "exit status 3"), (77, "skipped, as something that it wants is "
                               "not installed"), (-11, "killed by signal 11"),
                              (-100, "took too long"), (-101, "is not there")):
            lines = good() + [{"run": "mixed"}, {"ended": "mixed", "status": status}]
            self.assertEqual(report(lines).missed, [f"mixed: {words}"])
        self.assertEqual(report(good() + [{"run": "mixed"}]).missed, ["mixed: did not end"])

    def test_a_malformed_line_is_told(self):
        self.assertEqual(report(good() + ["what?"]).missed,
                         [f"figures, line {len(good()) + 1}: no JSON: Expecting value"])


class Table(unittest.TestCase):
    def test_every_bar_has_a_line(self):
        lines = table(report(with_value(good(), 10.0001, **PRESENCE)).rows).splitlines()
        bars = sum(len(said["bars"]) for said in ROWS)
        self.assertEqual(len(lines), 1 + bars)
        self.assertRegex(lines[1], r"^presence → NOTIFY.* 10\.0 µs .*≤ 2\.5 × the floor +5\.00")
        self.assertTrue(lines[1].endswith("MISSED"))
        self.assertTrue(lines[2].endswith("MISSED"))

    def test_markdown(self):
        lines = markdown(report(with_value(good(), 10.0001, **PRESENCE)).rows).splitlines()
        self.assertEqual({line.count(" |") for line in lines[2:]}, {6})
        self.assertTrue(lines[2].startswith("| presence → NOTIFY"))
        self.assertTrue(lines[2].endswith("| 5.00 | 10.00 | **missed** |"), lines[2])

    def test_nothing_measured(self):
        self.assertNotIn(" reached", table(report([]).rows))


if __name__ == "__main__":
    unittest.main()
