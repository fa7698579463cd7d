"""What it was measured on."""

import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path

from comanda.cli.environment import SERVICES
from comanda.testing.postgres import PostgresServer

SECRET = ("KEY", "PASSWORD", "URL")
"""Words in the names of settings that are nobody else's business."""


def description(server: PostgresServer, folder: Path) -> dict[str, str]:
    """What a reader has to know of the machine, by name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "Cores": str(len(os.sched_getaffinity(0))),
        "CPU": _cpu_model(),
        "Memory": f"{memory:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "PostgreSQL": f"{_postgres_version(server)}, its durable defaults",
        "SQLite": f"{sqlite3.sqlite_version}, WAL, synchronous = FULL",
        "File system": mount(folder)[1],
        "Load of the machine before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Commit": _commit(),
        "Settings given": ", ".join(_settings()) or "none",
    }


def _settings() -> list[str]:
    prefixes = tuple(f"{service.upper()}_" for service in SERVICES)
    own = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    return sorted(f"`{name}={value}`" for name, value in own.items() if not any(word in name for word in SECRET))


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _postgres_version(server: PostgresServer) -> str:
    done = subprocess.run([str(server.program("postgres")), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def mount(folder: Path) -> tuple[str, str]:
    """Where the file system of that folder is mounted, and of which kind it is."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    parents = {str(parent) for parent in (folder, *folder.parents)}
    place, kind = max((found for found in mounts if found[0] in parents), key=lambda found: len(found[0]))
    return place, kind


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
