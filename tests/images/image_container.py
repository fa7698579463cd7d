"""A container of an image, run by buildah on the network of this machine, with less than an engine would allow it."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from images.image_store import ImageStore

USER = 10001
PYTHON, ENTRY_POINT, HEALTH_CHECK = "/comanda/bin/python", "/comanda/bin/servicio", "/comanda/healthcheck.py"
SECRETS = "/secrets"
STOP_SECONDS = 30


class Container:
    """Args: folder: of its own; secrets: what it finds in `/secrets`, read-only."""

    def __init__(
        self, store: ImageStore, image: str, folder: Path, secrets: Path, environment: Mapping[str, str]
    ) -> None:
        self._store = store
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._id = store.buildah("from", image)
        self.root = Path(store.buildah("mount", self._id))
        self._volumes = {folder / "data": "/data", secrets: SECRETS}
        (folder / "data").mkdir(parents=True)
        os.chown(folder / "data", USER, USER)

    def migrate(self) -> str:
        """The job: the same image, told to migrate and end."""
        return self._store.buildah(*self._run({"--env": self._variables()}, "--migrate"))

    def freeze(self) -> None:
        """Makes its root file system read-only; what buildah itself makes at each run has to be there before."""
        for name in ("run/.containerenv", "etc/hosts", "etc/resolv.conf"):
            (self.root / name).touch()
        (self.root / SECRETS.lstrip("/")).mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", str(self.root)], check=True)

    def start(self) -> None:
        with (self._folder / "log").open("wb") as log:
            command = self._store.command(*self._run({"--env": self._variables()}))
            self._process = subprocess.Popen(
                command, env=self._store.environment, stdout=log, stderr=log, start_new_session=True
            )

    def is_healthy(self, *arguments: str) -> bool:
        """What the HEALTHCHECK of the image says, asked in its file system and as its user."""
        inside = ["env", "-i", *self._variables(), PYTHON, HEALTH_CHECK, *arguments]
        command = ["chroot", f"--userspec={USER}:{USER}", str(self.root), *inside]
        return subprocess.run(command, timeout=20).returncode == 0

    def can_write(self, path: str) -> bool:
        command = ["chroot", f"--userspec={USER}:{USER}", str(self.root), "sh", "-c", f": > {shlex.quote(path)}"]
        return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=20).returncode == 0

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """As an engine does: SIGTERM, and SIGKILL for whatever has not ended in time."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            finally:
                _kill_group(self._process.pid)
                self._process = None

    def remove(self) -> None:
        self.stop()
        self._store.buildah("rm", self._id)

    def _variables(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._environment.items()]

    def _run(self, lists: Mapping[str, list[str]], *arguments: str) -> list[str]:
        options = [f"{option}={value}" for option, values in lists.items() for value in values]
        options += [f"--volume={source}:{target}" for source, target in self._volumes.items()]
        return ["run", "--isolation", "chroot", "--cap-drop", "all", *options, self._id, "--", ENTRY_POINT, *arguments]


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
