"""The guard on instructions per event: what it lets pass, and what not."""

import contextlib
import io
import unittest

import instructions


def judged(now: dict[str, int], held: dict[str, int]) -> tuple[bool, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        good = instructions.compared(now, held)
    return good, out.getvalue()


class Guard(unittest.TestCase):
    def test_five_per_cent_more_are_let_pass_and_no_more(self):
        self.assertTrue(judged({"set-up": 105000}, {"set-up": 100000})[0])
        self.assertFalse(judged({"set-up": 105001}, {"set-up": 100000})[0])

    def test_one_dear_path_is_enough(self):
        good, said = judged({"set-up": 90, "refresh": 110}, {"set-up": 100, "refresh": 100})
        self.assertFalse(good)
        self.assertIn("dearer", said)

    def test_a_cheaper_path_is_to_be_written_down(self):
        good, said = judged({"set-up": 94}, {"set-up": 100})
        self.assertTrue(good)
        self.assertIn("write it down", said)

    def test_each_path_is_held_to_something(self):
        held = instructions.json.loads(instructions.FIGURES.read_text())
        self.assertEqual(list(held), [name for name, _ in instructions.PATHS])


if __name__ == "__main__":
    unittest.main()
