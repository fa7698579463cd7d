"""Secrets as deploy/make_secrets.py makes them."""

import subprocess
import sys
from pathlib import Path

import pytest
from deploy import manifests

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    subprocess.run([sys.executable, str(ROOT / "deploy/make_secrets.py"), str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture(params=manifests.OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> manifests.Overlay:
    return manifests.Overlay(manifests.rendered(request.param))
