"""What processes have used, as Linux tells it (proc(5))."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it started, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    own = sum(int(field) for field in fields[11:15]) / TICKS  # user and system, its own and of children it has reaped
    return own + sum(_of_a_child(child) for child in children(pid))


def _of_a_child(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended: its parent will count it from now on


def memory_bytes(pid: int) -> tuple[int, int]:
    """Resident memory (RSS) of a process and its children, and their share of it (PSS)."""
    resident = share = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Rss":
            resident = int(value.split()[0]) * 1024
        elif name == "Pss":
            share = int(value.split()[0]) * 1024
    for child in children(pid):
        child_resident, child_share = memory_bytes(child)
        resident, share = resident + child_resident, share + child_share
    return resident, share


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
