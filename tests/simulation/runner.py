"""Many seeds on several processors, and what is shown of them."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from simulation.accelerate import accelerate, tidy
from simulation.mutations import LIMIT, MUTATIONS, first_to_notice, kind
from simulation.sqlite import scratch
from simulation.world import Outcome, simulate

SHOWN_EVENTS = 300


@dataclass(slots=True)
class Tally:
    """Sums over many runs."""

    runs: int = 0
    operations: int = 0
    faults: int = 0
    virtual_seconds: float = 0.0
    cpu_seconds: float = 0.0
    orders: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)

    def add(self, line: str) -> str | None:
        """Reads what a worker wrote about one run; returns the first violation."""
        seed, operations, faults, virtual, cpu, orders, violation = line.rstrip("\n").split("\t")
        self.runs += 1
        self.operations += int(operations)
        self.faults += int(faults)
        self.virtual_seconds += float(virtual)
        self.cpu_seconds += float(cpu)
        for part in orders.split():
            fase, count = part.split("=")
            self.orders[fase] += int(count)
        if violation:
            self.failed.append(int(seed))
        return violation or None

    def __str__(self) -> str:
        orders = ", ".join(f"{count} {fase}" for fase, count in sorted(self.orders.items()))
        return (
            f"{self.runs} runs, {len(self.failed)} failed; {self.operations} client operations, {self.faults} faults, "
            f"{self.virtual_seconds / 3600:.1f} h of virtual time; orders: {orders}; "
            f"{1000 * self.cpu_seconds / max(1, self.runs):.0f} ms of CPU a run"
        )


def report(outcome: Outcome, cpu_seconds: float) -> str:
    """One run as one line for `Tally.add`."""
    orders = " ".join(f"{fase}={count}" for fase, count in sorted(outcome.orders.items()))
    first = outcome.violations[0].replace("\t", " ").replace("\n", " ") if outcome.violations else ""
    faults = outcome.trace.total("fault")
    fields = (outcome.seed, outcome.operations, faults, f"{outcome.seconds:.3f}", f"{cpu_seconds:.3f}", orders, first)
    return "\t".join(map(str, fields))


def work(seeds: Iterable[int]) -> None:
    """What a worker process does: one line on standard output for each run."""
    accelerate()
    for seed in seeds:
        started = time.process_time()
        outcome = simulate(seed)
        print(report(outcome, time.process_time() - started), flush=True)  # noqa: T201  # read by `sweep`
        tidy()


def sweep(first: int, last: int, jobs: int, *, keep_going: bool) -> Tally:
    """Runs all those seeds; stops at the first violation unless told to keep going."""
    scratch()  # ours to remove, so made before the workers
    tally, started = Tally(), time.monotonic()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "simulation", "--worker", f"{first + job}..{last}", "--jobs", str(jobs)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for job in range(jobs)
    ]
    try:
        for line in _lines(workers):
            violation = tally.add(line)
            if violation:
                _say(f"\nseed {line.split()[0]}: {violation}\n")
                if not keep_going:
                    break
            elif sys.stderr.isatty() or tally.runs % 100 == 0:
                pace = tally.runs / (time.monotonic() - started)
                _say(f"\r{tally.runs}/{last - first + 1} runs, {len(tally.failed)} failed, {pace:.1f}/s ")
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    _say("\n")
    return tally


def show(seed: int, *, whole: bool) -> bool:
    """Runs one seed with its trace and tells the story; whether it went well."""
    outcome = simulate(seed, keep_trace=True)
    path = Path(tempfile.gettempdir()) / f"comanda-simulation-{seed}.txt"
    outcome.trace.write(path)
    if whole or outcome.violations:
        _say("\n".join(outcome.trace.lines(0 if whole else SHOWN_EVENTS)) + "\n")
    for violation in outcome.violations:
        _say(f"VIOLATION {violation}\n")
    faults = outcome.trace.total("fault")
    orders = ", ".join(f"{count} {fase}" for fase, count in sorted(outcome.orders.items()))
    _say(f"seed {seed}: {outcome.operations} operations, {faults} faults, {outcome.seconds:.0f} s; orders: {orders}\n")
    _say(f"trace {outcome.trace.digest[:16]} in {path}; again: PYTHONPATH=tests python -m simulation --seed {seed}\n")
    return not outcome.violations


def hunt(jobs: int) -> bool:
    """The first seed that notices each mutation; whether all are noticed."""
    scratch()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=accelerate) as pool:
        found = dict(zip(MUTATIONS, pool.map(_search, MUTATIONS), strict=True))
    _say(f"LIKELY: dict[str, int] = {found}\n")
    return None not in found.values()


def _search(name: str) -> int | None:
    outcome = first_to_notice(MUTATIONS[name], from_zero=True)
    how = f"NOT NOTICED in {LIMIT} seeds"
    if outcome:
        harm = next(text for text in outcome.violations if kind(text) in MUTATIONS[name].noticed_by)
        how = f"seed {outcome.seed:>3}  {harm[:150]}"
    _say(f"{name:<31} {how}\n")
    return outcome and outcome.seed


def _lines(workers: "list[subprocess.Popen[str]]") -> Iterator[str]:
    """What the workers write, in the order of the seeds: each takes its turn."""
    running = list(workers)
    while running:
        for worker in list(running):
            assert worker.stdout is not None
            line = worker.stdout.readline()
            if line:
                yield line
            else:
                running.remove(worker)
                if worker.wait() != 0:
                    raise SystemExit(f"a worker ended with {worker.returncode}")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
