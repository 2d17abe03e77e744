"""Runs the benchmarks one after the other and makes a report of what they found: `./dev bench all`."""
