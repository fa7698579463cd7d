"""Images built without a container engine: buildah in chroot isolation, on a base that debootstrap makes."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "productos", "inventario", "pedidos")
PROGRAMS = ("buildah", "debootstrap")
BASE = "localhost/base"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs")


def missing() -> str:
    """Why images cannot be built on this machine; empty: they can."""
    if os.geteuid() != 0:
        return "images are not built here: debootstrap and buildah --isolation chroot need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"images are not built here: {', '.join(absent)} missing (apt-get install them)" if absent else ""


class ImageStore:
    """Images and containers of our own, apart from those of the machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        (folder / "temporary").mkdir()
        self.environment = os.environ | {"TMPDIR": str(folder / "temporary")}  # where it caches what builds fetch

    def command(self, *arguments: str) -> list[str]:
        return ["buildah", *self._options, *arguments]

    def buildah(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout.strip()

    def make_base(self) -> None:
        """What stands in for the official image: Debian's Python."""
        root = self._folder / "base"
        command = ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        container = self.buildah("from", "scratch")
        self.buildah("copy", "--quiet", container, str(root), "/")
        self.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def build(self, service: str) -> str:
        """Builds the image of a service as anybody would; returns its name."""
        name = f"localhost/comanda-{service}"
        arguments = {"BASE": BASE, "SERVICE": service}
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        what = ["--file", str(ROOT / "deploy/image/Dockerfile"), "--format", "docker", "--tag", name]
        how = ["--isolation", "chroot", "--layers", "--quiet", *self._trust()]
        self.buildah("bud", *how, *given, *what, str(ROOT))
        return name

    def _trust(self) -> list[str]:
        """The build trusts whom this machine trusts: it may stand behind a mirror of the registries."""
        settings = self._folder / "uv"
        settings.mkdir(exist_ok=True)
        (settings / "uv.toml").write_text("system-certs = true\n")
        return ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--volume", f"{settings}:/etc/uv:ro"]

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", image))
        return found

    def bytes_above_base(self, image: str) -> int:
        """The layers that are not of the base, uncompressed."""

        def layers(name: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(self.inspect(name)["Manifest"])["layers"]
            return found

        return sum(layer["size"] for layer in layers(image)[len(layers(BASE)) :])

    def tree(self, image: str) -> dict[str, str]:
        """What is installed in an image: each file's mode and content, by its path."""
        container = self.buildah("from", image)
        try:
            top = Path(self.buildah("mount", container)) / "comanda"
            paths = [path for path in sorted(top.rglob("*")) if path.is_symlink() or path.is_file()]
            return {str(path.relative_to(top)): _fingerprint(path) for path in paths}
        finally:
            self.buildah("rm", container)


def _fingerprint(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
