"""`python -m simulation`: one seed and its story, or many seeds and their sum."""

import argparse
import os
import sys

from simulation.runner import hunt, show, sweep, work


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one and keep its trace")
    parser.add_argument("--trace", action="store_true", help="with --seed: show every event")
    parser.add_argument("--seeds", help="run these: FIRST..LAST, both included")
    parser.add_argument("--jobs", type=int, default=2, help="processes to run them in (2)")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first violation")
    parser.add_argument("--mutations", action="store_true", help="find the first seed that notices each mutation")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        first, last = _range(options.worker)
        work(range(first, last + 1, options.jobs))
        return 0
    if options.seed is not None:
        return 0 if show(options.seed, whole=options.trace) else 1
    if options.mutations:
        return 0 if hunt(options.jobs) else 1
    if not options.seeds:
        parser.error("say --seed N or --seeds A..B")
    first, last = _range(options.seeds)
    tally = sweep(first, last, options.jobs, keep_going=options.keep_going)
    sys.stdout.write(f"{tally}\n")
    if not tally.failed:
        return 0
    show(tally.failed[0], whole=False)
    return 1


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("..")
    return int(first), int(last or first)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # nothing should depend on it; if something does, it still repeats
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]])  # noqa: S606  # itself
    sys.exit(main())
