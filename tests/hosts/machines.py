"""Hosts on one machine: a network namespace each, joined by a bridge. Needs root and Debian's `iproute2`.

Whatever has the prefix of these names is ours: it is removed before a run and after it, with every process inside.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "hx-"
BRIDGE, SLOW_BRIDGE = f"{PREFIX}bridge", f"{PREFIX}slow"
NETWORK = "10.77.0"
OURSELVES = f"{NETWORK}.1"
NOBODY = "02:00:00:00:00:01"
"""A hardware address that no host has: what is sent there is gone without a word, as in a broken switch."""

GONE_SECONDS = 10


def ip(*words: str) -> str:
    """Runs `ip`. Raises `RuntimeError` with what it said."""
    ran = subprocess.run(["ip", *words], capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {ran.stderr.strip()}")
    return ran.stdout


class Host:
    """A host that is on. Args: number: the last part of its address; name: at most 12 letters."""

    def __init__(self, name: str, number: int, *more: int) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self._space = PREFIX + name
        self._link = PREFIX + name
        inside = f"{PREFIX}new"
        ip("netns", "add", self._space)
        ip("link", "add", self._link, "type", "veth", "peer", "name", inside)
        ip("link", "set", inside, "netns", self._space)
        self._ip("link", "set", inside, "name", "eth0")
        for last in (number, *more):
            self._ip("address", "add", f"{NETWORK}.{last}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            self._ip("link", "set", link, "up")
        ip("link", "set", self._link, "master", BRIDGE, "up")

    def command(self, *words: str) -> list[str]:
        """The command line that runs those words on the host."""
        return ["ip", "netns", "exec", self._space, *words]

    def cut(self) -> None:
        """Pulls the cable out: nobody is told."""
        ip("link", "set", self._link, "nomaster")

    def plug(self) -> None:
        """Puts it in again."""
        ip("link", "set", self._link, "master", BRIDGE)

    def plug_slow(self) -> None:
        """Puts it in where a `SlowLink` leads."""
        ip("link", "set", self._link, "master", SLOW_BRIDGE)

    def lose_sight(self, address: str) -> None:
        """From now on nothing that it sends to that address arrives."""
        self._ip("neighbour", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")

    def see(self, address: str) -> None:
        """It reaches that address again."""
        self._ip("neighbour", "delete", address, "dev", "eth0")

    def lose_power(self) -> None:
        """No process lives on, and none says goodbye: the cable is out before the first dies."""
        self.cut()
        end(self._space)

    def _ip(self, *words: str) -> None:
        ip("-netns", self._space, *words)


class SlowLink:
    """What is between the slow bridge and the other one: each frame takes longer, and some are lost (`slow_link.py`).

    It stands in for tc's netem, which not every kernel has.
    """

    def __init__(self, delay_seconds: float, loss: float) -> None:
        ends = (f"{PREFIX}tap-a", f"{PREFIX}tap-b")
        program = Path(__file__).with_name("slow_link.py")
        self._process = subprocess.Popen([sys.executable, str(program), *ends, str(delay_seconds), str(loss)])
        deadline = time.monotonic() + GONE_SECONDS
        while not all(Path(f"/sys/class/net/{end}").exists() for end in ends):
            if time.monotonic() > deadline:
                raise RuntimeError("the slow link does not start")
            time.sleep(0.05)
        for end_, bridge in zip(ends, (SLOW_BRIDGE, BRIDGE), strict=True):
            ip("link", "set", end_, "master", bridge, "up")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def make_network() -> None:
    """The bridges, and our own place on the first."""
    for bridge in (BRIDGE, SLOW_BRIDGE):
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
    ip("address", "add", f"{OURSELVES}/24", "dev", BRIDGE)


def remove_network() -> None:
    """Ends what runs on our hosts, also of a run that was killed, and removes them."""
    for space in {line.split()[0] for line in ip("netns", "list").splitlines() if line.startswith(PREFIX)}:
        end(space)
        ip("netns", "delete", space)
    for link in Path("/sys/class/net").glob(f"{PREFIX}*"):
        if link.exists():  # the other end of one that was just deleted is not
            ip("link", "delete", link.name)


def end(space: str) -> None:
    """Kills every process in that namespace, and waits until they are gone."""
    deadline = time.monotonic() + GONE_SECONDS
    while pids := [int(pid) for pid in ip("netns", "pids", space).split()]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {space} do not end: {pids}")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
