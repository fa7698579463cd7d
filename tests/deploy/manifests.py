"""The manifests of an overlay as kubectl renders them."""

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ("small", "large")
Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    kubectl = shutil.which("kubectl", path=sysconfig.get_path("scripts")) or shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed (group deploy)")
    command = [kubectl, "kustomize", str(ROOT / "deploy/kubernetes/overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


class Overlay:
    """Args: documents: all manifests of it."""

    def __init__(self, documents: tuple[Manifest, ...]) -> None:
        self.documents = documents

    def of(self, kind: str) -> dict[str, Manifest]:
        """Those of a kind, by name."""
        return {found["metadata"]["name"]: found for found in self.documents if found["kind"] == kind}

    def templates(self) -> Iterator[tuple[str, Manifest]]:
        """Every pod that is ours: its kind and name, and its template."""
        for kind in ("Deployment", "Job"):
            for name, found in self.of(kind).items():
                yield f"{kind}/{name}", found["spec"]["template"]

    def config(self, prefix: str) -> Manifest:
        """The data of the generated map, whose name ends in a hash of it."""
        (found,) = (map_ for name, map_ in self.of("ConfigMap").items() if name.rpartition("-")[0] == prefix)
        data: Manifest = found["data"]
        return data

    def container(self, name: str) -> Manifest:
        (found,) = self.of("Deployment")[name]["spec"]["template"]["spec"]["containers"]
        container: Manifest = found
        return container

    def variables(self, service: str, secrets: dict[tuple[str, str], str]) -> dict[str, str]:
        """The environment of a service's container: maps first, then what is written in place, `$(NAME)` filled in."""
        found: dict[str, str] = {}
        container = self.container(service)
        for source in container["envFrom"]:
            found |= self.config(source["configMapRef"]["name"].rpartition("-")[0])
        for entry in container["env"]:
            if "value" in entry:
                value = entry["value"]
                for name, known in found.items():
                    value = value.replace(f"$({name})", known)
            else:
                reference = entry["valueFrom"]["secretKeyRef"]
                value = secrets[reference["name"], reference["key"]]
            found[entry["name"]] = value
        return found
