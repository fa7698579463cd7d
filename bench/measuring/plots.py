"""The pictures of a run."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes

from measuring.plan import AS_DELIVERED, DATABASES
from measuring.results import Results
from measuring.system import SERVICES

COLOURS = {"postgresql": "tab:blue", "sqlite": "tab:orange"}


def draw(results: Results, folder: Path, name: str) -> list[Path]:
    """Writes those for which something was measured, and returns their paths."""
    mpl.use("Agg")  # no screen is needed
    pictures = {
        "throughput": _throughput if results.cases("clients") else None,
        "latency": _latency if results.cases("loads") else None,
        "cpu": _cpu if results.cases("orders") else None,
    }
    paths = []
    for subject, picture in pictures.items():
        if picture is not None:
            figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
            picture(axes, results)
            paths.append(folder / f"{name}-{subject}.png")
            figure.savefig(paths[-1], dpi=110)
            pyplot.close(figure)
    return paths


def _throughput(axes: Axes, results: Results) -> None:
    clients = [int(case[0]) for case in results.cases("clients")]
    for database in DATABASES:
        found = [(count, results.get("clients", database, count)) for count in clients]
        points = [(count, measure.rate) for count, measure in found if measure]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[database], label=database)
        alone = results.reference(database, hot=False)
        if alone is not None:
            axes.axhline(alone, color=COLOURS[database], linestyle=":", label=f"{database} by itself")
    axes.set_xscale("log", base=2)
    axes.set_xticks(clients, [str(count) for count in clients])
    axes.set_ylim(bottom=0)
    axes.set(title="Throughput by number of clients", xlabel="clients", ylabel="orders a second")
    axes.grid(alpha=0.3)
    axes.legend()


def _latency(axes: Axes, results: Results) -> None:
    loads = [int(case[0]) for case in results.cases("loads") if case[0] != "most"]
    for database in DATABASES:
        found = [(load, results.get("loads", database, load)) for load in loads]
        for quantile, style in (("p50", "o-"), ("p99", "^--")):
            points = [(load, 1e3 * getattr(measure, quantile)) for load, measure in found if measure]
            if points:
                axes.plot(*zip(*points, strict=True), style, color=COLOURS[database], label=f"{database}, {quantile}")
    axes.set_yscale("log")
    axes.set_xticks(loads, [f"{load} %" for load in loads])
    axes.set(title="Latency by load", xlabel="of the highest throughput", ylabel="ms from the intended moment")
    axes.grid(alpha=0.3, which="both")
    axes.legend()


def _cpu(axes: Axes, results: Results) -> None:
    found = {
        f"{database}\n{case}": results.get("orders", database, AS_DELIVERED, case)
        for database in DATABASES
        for case in ("spread", "hot")
    }
    bars = {name: measure for name, measure in found.items() if measure}
    bottoms = [0.0] * len(bars)
    for process in (*reversed(SERVICES), "postgresql", "driver"):
        heights = [measure.cpu.get(process, 0.0) for measure in bars.values()]
        axes.bar(list(bars), heights, bottom=bottoms, label=process, width=0.6)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set(title="CPU of an order, by process", ylabel="µs")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
