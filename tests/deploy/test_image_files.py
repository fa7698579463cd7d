"""What images are made of, as far as it can be told without making one (tests/images makes them)."""

import importlib.util
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from comanda.cli import environment

ROOT = Path(__file__).parents[2]
DOCKERFILES = (ROOT / "deploy/image/Dockerfile", ROOT / "deploy/gateway/Dockerfile")
TOOLS = sysconfig.get_path("scripts")


@pytest.fixture(scope="module")
def healthcheck() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_healthcheck", ROOT / "deploy/image/healthcheck.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
class TestDockerfile:
    def test_passes_hadolint(self, dockerfile: Path) -> None:
        hadolint = shutil.which("hadolint", path=TOOLS)
        if hadolint is None:
            pytest.skip("hadolint is not installed (group deploy)")
        found = subprocess.run([hadolint, str(dockerfile)], capture_output=True, text=True, timeout=60)
        assert (found.returncode, found.stdout) == (0, "")

    def test_starts_from_a_version(self, dockerfile: Path) -> None:
        base = re.findall(r"^ARG BASE=\S+:(\S+)$", dockerfile.read_text(), re.MULTILINE)
        assert len(base) == 1
        assert re.match(r"\d+\.\d+", base[0])
        assert set(re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)) == {"${BASE}"}


def test_uv_is_one_that_the_workspace_is_built_with() -> None:
    version = re.findall(r"ARG UV_VERSION=(\d+\.\d+)\.\d+", DOCKERFILES[0].read_text())
    wanted = re.findall(r"uv>=(\d+\.\d+),<", (ROOT / "Makefile").read_text())
    assert version == wanted


class TestHealthCheck:
    def test_knows_the_ports_of_the_services(self, healthcheck: ModuleType) -> None:
        assert healthcheck.PORTS == environment.PORTS
        for service, port in environment.PORTS.items():
            assert environment.settings_class(service).model_fields["port"].default == port

    def test_nobody_listens(self, healthcheck: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "servicio").symlink_to("comanda-pedidos")
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        with socket.socket() as taken:  # nobody else can listen there either
            taken.bind(("127.0.0.1", 0))
            monkeypatch.setenv("PEDIDOS_PORT", str(taken.getsockname()[1]))
            assert healthcheck.main() == 1
