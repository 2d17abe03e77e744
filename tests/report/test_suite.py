"""The suite runs programs that do what they should, and others; and looks at what else the machine does."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import made_up
from report import machine, suite
from report.figures import Run, read
from report.suite import TIME_S, Benchmark, benchmarks

TOP = Path(__file__).resolve().parent.parent.parent

# Not in the suite: `steps` is for callgrind, which counts better than a clock (bench/instructions.py).
LEFT_OUT = {"steps"}

SAYS = """#!/bin/sh
while [ "$1" != --figures ]; do shift; done
echo '{{"bench":"{0}","who":"isthmus","what":"cpu","unit":"us","value":1}}' >> "$2"
{1}
"""


class Suite(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.figures = self.folder / "out" / "figures.jsonl"

    def program(self, name: str, then: str = "exit 0") -> None:
        path = suite.program(self.folder, name)
        path.write_text(SAYS.format(name, then))
        path.chmod(0o755)

    def run_suite(self, *chosen: Benchmark):
        quiet = (contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()))
        with quiet[0], quiet[1]:
            suite.run(self.folder, self.folder, Path("/bin/true"), self.figures, 0.25, list(chosen))
        return read(self.figures)

    def test_all_run_in_their_order(self):
        self.program("b-two")
        self.program("a-one")
        found = self.run_suite(Benchmark("b-two", 5), Benchmark("a-one", 5))
        self.assertEqual([(run.name, run.status) for run in found.named_runs()],
                         [("b-two", 0), ("a-one", 0)])
        self.assertEqual([(f.bench, found.runs[f.run].name) for f in found.all],
                         [("b-two", "b-two"), ("a-one", "a-one")])
        self.assertEqual(found.suite["load"], 0.25)
        self.assertGreater(found.suite["machine"]["cores"], 0)
        self.assertEqual(found.unread, [])

    def test_what_fails_keeps_no_other_from_running(self):
        self.program("bad", "exit 3")
        self.program("dead", "kill -9 $$")
        self.program("last")
        found = self.run_suite(Benchmark("bad", 5), Benchmark("dead", 5), Benchmark("none", 5),
                               Benchmark("last", 5))
        self.assertEqual([run.status for run in found.named_runs()],
                         [3, -9, suite.NOT_THERE, 0])

    def test_who_takes_too_long_is_ended_with_all_that_it_started(self):
        self.program("slow", f"sleep 1000 & echo $! > {self.folder}/child; wait")
        began = time.monotonic()
        found = self.run_suite(Benchmark("slow", 0.5))
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(found.named_runs()[0].status, suite.TOO_LATE)
        self.assertTrue(gone(int((self.folder / "child").read_text())))

    def test_who_does_not_want_to_end_is_killed(self):
        self.program("stubborn", "trap '' TERM; while :; do sleep 0.1; done")
        with mock.patch.object(suite, "PARTING_S", 0.5):
            found = self.run_suite(Benchmark("stubborn", 0.5))
        self.assertEqual(found.named_runs()[0].status, suite.TOO_LATE)

    def test_nothing_is_left_of_who_ends_early(self):
        self.program("careless", f"sleep 1000 & echo $! > {self.folder}/child")
        self.assertEqual(self.run_suite(Benchmark("careless", 5)).named_runs()[0].status, 0)
        self.assertTrue(gone(int((self.folder / "child").read_text())))

    def test_all_of_it_has_an_end(self):
        self.program("slow", "sleep 1000")
        with mock.patch.object(suite, "TIME_S", 1):
            found = self.run_suite(Benchmark("slow", 50), Benchmark("slow", 50))
        self.assertEqual([run.status for run in found.named_runs()], [suite.TOO_LATE] * 2)

    def test_begun_anew(self):
        self.program("one")
        self.run_suite(Benchmark("one", 5))
        self.assertEqual(len(self.run_suite(Benchmark("one", 5)).all), 1)

    def test_its_arguments_are_said(self):
        self.program("one", f'echo "$@" > {self.folder}/said')
        self.run_suite(Benchmark("one", 5, ["--more", "7"]))
        self.assertEqual((self.folder / "said").read_text(), f"--figures {self.figures} --more 7\n")

    def test_a_gateway_is_named_to_those_who_have_one(self):
        path = suite.program(self.folder, "one")
        path.write_text(f'#!/bin/sh\necho "$1 $2" >> {self.folder}/said\n')
        path.chmod(0o755)
        self.run_suite(Benchmark("one", 5), Benchmark("one", 5, gateway=False))
        self.assertEqual((self.folder / "said").read_text(),
                         f"--gateway /bin/true\n--figures {self.figures}\n")


def gone(pid: int) -> bool:
    """Soon: who has been killed may still be on his way out."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


class Plan(unittest.TestCase):
    def test_fits_into_its_time(self):
        self.assertLessEqual(sum(one.limit_s for one in benchmarks()), TIME_S)

    def test_has_every_benchmark_once(self):
        planned = [one.name for one in benchmarks()]
        programs = {path.stem.replace("_", "-") for path in (TOP / "bench").glob("*.c")}
        self.assertEqual(len(planned), len(set(planned)))
        self.assertEqual(programs - LEFT_OUT - set(planned), set())


class Noise(unittest.TestCase):
    def test_a_quiet_machine(self):
        self.assertEqual(machine.noise({"load": 0.2}, [Run("a", 0, 1, {"others": 0.05, "stolen": 0})]), [])

    def test_each_kind(self):
        said = machine.noise({"load": 1.5}, [Run("a", 0, 1, {"others": 0.5, "stolen": 0}),
                                             Run("b", 0, 1, {"others": 0.7, "stolen": 0.05}),
                                             Run("c", None, None, {})])
        self.assertEqual(said, ["the load average was 1.50 when the suite began",
                                "other programs took up to 0.70 cores during a, b",
                                "the host took up to 5.0% of the processors' time during b"])

    def test_times_of_the_kernel(self):
        tick = os.sysconf("SC_CLK_TCK")
        first = machine.moment("cpu 100 0 100 1000 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
        later = machine.moment(f"cpu {100 + 2 * tick} 0 {100 + tick} 1000 0 0 0 {tick} 0 0\n")
        later.at_s, later.ours_s = first.at_s + 2, first.ours_s + 1
        self.assertEqual(machine.between(first, later), {"others": 1.0, "stolen": 0.25})

    def test_our_own_work_is_no_noise(self):
        burn = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass"
        before = machine.moment()
        subprocess.run([sys.executable, "-c", burn], check=True)
        after = machine.moment()
        self.assertGreater(after.ours_s - before.ours_s, 0.9)


class Command(unittest.TestCase):
    def report(self, lines: list) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "figures.jsonl")
            path.write_text(made_up.text(lines))
            done = subprocess.run([sys.executable, "-m", "report", "report", path],
                                  stdout=subprocess.PIPE, text=True, check=False)
            self.made = json.loads(Path(folder, "report.json").read_text())
            self.assertIn("<svg", Path(folder, "report.html").read_text())
            return done

    def test_all_is_good(self):
        done = self.report(made_up.good())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("missed", done.stdout)
        self.assertEqual((self.made["good"], self.made["machine"]["name"]), (True, "here"))

    def test_ctrl_c_ends_all_of_it(self):
        for sign in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(sign), tempfile.TemporaryDirectory() as folder:
                slow = suite.program(Path(folder), "floor")  # the first of the suite
                slow.write_text(f"#!/bin/sh\nsleep 15 & echo $! > {folder}/child\nwait\n")
                slow.chmod(0o755)
                whole = subprocess.Popen(
                    [sys.executable, "-m", "report", "all", "--binaries", folder,
                     "--gateway", "/bin/true", "--figures", f"{folder}/figures.jsonl"],
                    stdout=subprocess.DEVNULL,
                    # Whoever runs this in the background may have it ignored.
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
                child = Path(folder, "child")
                for _ in range(500):
                    if child.exists() and child.read_text():
                        break
                    time.sleep(0.02)
                whole.send_signal(sign)
                self.assertEqual(whole.wait(10), 130)
                self.assertTrue(gone(int(child.read_text())))

    def test_ctrl_c_is_not_lost_while_a_program_starts(self):
        real = subprocess.Popen

        def slow_start(*args, **more):
            process = real(*args, **more)
            signal.raise_signal(signal.SIGINT)
            return process

        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(suite.subprocess, "Popen", slow_start):
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            self.addCleanup(signal.signal, signal.SIGINT, before)
            script = f"echo $$ > {folder}/pid; exec sleep 15"
            with self.assertRaises(KeyboardInterrupt):
                suite.run_program(["/bin/sh", "-c", script], 5)
            pid = Path(folder, "pid")
            self.assertTrue(not pid.exists() or not pid.read_text() or gone(int(pid.read_text())))

    def test_one_is_missed(self):
        done = self.report(made_up.with_value(made_up.good(), 5.1, what="ready", at=1000000))
        self.assertEqual(done.returncode, 1)
        self.assertIn("missed:\n    restart: missed\n", done.stdout)
        self.assertEqual(self.made["missed"], ["restart: missed"])


if __name__ == "__main__":
    unittest.main()
