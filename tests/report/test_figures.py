"""Files of figures, and what is not one."""

import unittest

import made_up
from report.compare import compared
from report.words import number, number_beside, plain, quantity

GOOD = made_up.figure("store", "put", "us/record", 3.5)


class Reading(unittest.TestCase):
    def test_what_a_benchmark_writes(self):
        found = made_up.figures(
            ['{"bench":"presence-in","who":"floor","what":"cpu","unit":"us/event","value":2.05,'
             '"x":"subscriptions","at":10000}']).all
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0].bench, found[0].who, found[0].what, found[0].unit,
                          found[0].value, found[0].x, found[0].at),
                         ("presence-in", "floor", "cpu", "us/event", 2.05, "subscriptions", 10000))

    def test_a_malformed_line_is_told_and_the_others_are_read(self):
        for line in ("garbage", '{"suite":{"load":NaN}}', '{"bench":"x"', "[]", "3", '{"bench":"x","who":"y"}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":"7"}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":true}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":nan}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":NaN}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":-Infinity}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":1e999}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":1,"x":"shards"}',
                     '{"bench":"b","who":"w","what":"c","unit":"u","value":1,"x":3,"at":3}',
                     '{"bench":"","who":"w","what":"c","unit":"u","value":1}'):
            with self.subTest(line):
                found = made_up.figures([GOOD, line, GOOD | {"what": "scan"}])
                self.assertEqual([f.what for f in found.all], ["put", "scan"])
                self.assertEqual(len(found.unread), 1)
                self.assertTrue(found.unread[0].startswith("line 2: "))

    def test_bytes_that_are_no_text_and_empty_lines_do_no_harm(self):
        found = made_up.figures(["", "   ", "\udcff".encode("utf-8", "surrogateescape")
                                 .decode("latin-1"), GOOD])
        self.assertEqual((len(found.all), len(found.unread)), (1, 1))

    def test_what_is_said_again_replaces_what_was_said(self):
        found = made_up.figures([GOOD, GOOD | {"value": 4}])
        self.assertEqual(found.one({"bench": "store", "what": "put"}).value, 4)

    def test_a_scenarios_own_program_is_right(self):
        found = made_up.figures([{"run": "store"}, GOOD, {"run": "other"}, GOOD | {"value": 4}])
        self.assertEqual(found.one({"bench": "store", "what": "put"}).value, 3.5)

    def test_a_curve_is_of_one_run(self):
        """Of the one with the most places; of two such the scenario's own."""
        def run(name, *values):
            return [{"run": name}, *made_up.each("store", "put", "us", "records",
                                                 dict(enumerate(values)))]
        wanted = {"bench": "store", "what": "put"}
        found = made_up.figures([*run("store", 1), *run("idle", 2, 3), *run("other", 4)])
        self.assertEqual([f.value for f in found.curve(wanted)], [2, 3])
        found = made_up.figures([*run("store", 1, 2), *run("idle", 3, 4)])
        self.assertEqual([f.value for f in found.curve(wanted)], [1, 2])
        self.assertEqual(made_up.figures([GOOD]).curve(wanted), [])

    def test_a_run_that_did_not_end_has_no_status(self):
        found = made_up.figures([{"run": "store"}, GOOD, {"run": "b"},
                                 {"ended": "b", "status": 0, "seconds": 2}])
        self.assertEqual([run.status for run in found.named_runs()], [None, 0])


class Comparing(unittest.TestCase):
    def test_two_files(self):
        said = compared(made_up.figures([GOOD, GOOD | {"what": "gone"}]),
                        made_up.figures([GOOD | {"value": 7}]))
        self.assertRegex(said, r"store isthmus put +3\.50 +7 +2\.000 us/record")
        self.assertIn("1 figures are in one of them only", said)


    def test_several_runs_count_with_their_median(self):
        said = compared(made_up.figures([GOOD | {"value": value} for value in (1, 100, 2)]),
                        made_up.figures([GOOD | {"value": 1}]))
        self.assertRegex(said, r"store isthmus put +2 +1 +0\.500")


class Words(unittest.TestCase):
    def test_numbers(self):
        for value, said in ((0, "0"), (6.0512, "6.05"), (1234567, "1,234,567"), (640.44, "640"),
                            (0.0012345, "0.00123"), (99.96, "100.0"), (12.345, "12.3"),
                            (-2.5, "-2.50")):
            self.assertEqual(number(value), said)
        self.assertEqual(plain(2.5), "2.5")

    def test_rounding_hides_no_miss(self):
        self.assertEqual(number_beside(2.5004, 2.5), "2.5004")
        self.assertEqual(number_beside(2.5000001, 2.5), "2.5000001")
        self.assertEqual(number_beside(2.4999, 2.5), "2.4999")
        self.assertEqual(number_beside(2.4, 2.5), "2.40")

    def test_quantities(self):
        for value, unit, said in ((6.1, "us/event", "6.10 µs"), (1500, "us", "1.50 ms"),
                                  (640, "B/subscription", "640 B"), (0.9, "% of a core", "0.900 %"),
                                  (0, "events", "0"), (0.5, "1/event", "0.500"),
                                  (2500000, "us", "2.50 s"), (150000, "events/s", "150,000 events/s")):
            self.assertEqual(quantity(value, unit), said)
        self.assertEqual(quantity(2000.4, "us", 2000), "2.0004 ms")


if __name__ == "__main__":
    unittest.main()
