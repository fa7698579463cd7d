"""`make hosts`: Comanda on several hosts, each a network namespace of this machine, of which some fail.

Needs root and Debian's packages iproute2, patroni, etcd-server, python3-etcd and postgresql-15.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hosts import machines
from hosts.drill import one_round
from hosts.measure import Record, table
from hosts.plant import ROOT

TOOLS = ("ip", "setpriv", "patroni", "etcd")
MIGRATIONS = "services/*/src/comanda/*/migrations/versions/*.py"
ROUND_SECONDS = 900


def main() -> None:
    given = _arguments()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        sys.exit(f"make hosts needs root and the packages in {__file__}; missing: {', '.join(missing) or 'root'}")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    base = Path(tempfile.mkdtemp(prefix="comanda-hosts-", dir=given.data))
    base.chmod(0o755)  # PostgreSQL has a user of its own
    records: list[Record] = []
    try:
        release = _before(given.previous, base / "before")
        for number in range(1, given.rounds + 1):
            records.append(_round(base / f"round-{number}", release, given.seed + number))
            _tell(f"round {number} clean: {records[-1].answers}")
    finally:
        machines.remove_network()
        if records:
            sys.stdout.write("\n".join(table(records)) + "\n")
    shutil.rmtree(base)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hosts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--previous", default="", help="commit of the release that runs at first")
    parser.add_argument("--data", default=None, help="folder in which the run makes its own; kept if a round fails")
    return parser.parse_args()


def _round(folder: Path, release: Path, seed: int) -> Record:
    folder.mkdir()
    machines.remove_network()
    machines.make_network()
    return asyncio.run(asyncio.wait_for(one_round(folder, release, seed), ROUND_SECONDS))


def _before(commit: str, folder: Path) -> Path:
    """The release before, installed: of that commit, or the newest one that lacks a migration of today's."""
    commit = commit or _git("log", "-1", "--diff-filter=A", "--format=%H^", "--", MIGRATIONS)
    _tell(f"The release before is {_git('log', '-1', '--format=%h %s', commit)}")
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    _git("archive", "--output", str(archive), commit)
    shutil.unpack_archive(archive, folder, filter="data")
    subprocess.run(["make", "--silent", "-C", str(folder), ".venv/.installed"], check=True, stdout=sys.stderr)
    return folder


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def _git(*words: str) -> str:
    ran = subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True)
    return ran.stdout.strip()


if __name__ == "__main__":
    main()
