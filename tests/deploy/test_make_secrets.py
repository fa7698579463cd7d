"""deploy/make_secrets.py: made once, for whoever is to read them and nobody else."""

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from comanda.auth.settings import MASTER_KEY_MIN
from comanda.common.files import is_exposed
from comanda.common.signing import SigningKey

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_again_changes_nothing(secrets: Path) -> None:
    before = contents(secrets)
    subprocess.run([sys.executable, str(ROOT / "deploy/make_secrets.py"), str(secrets)], check=True, timeout=60)
    assert contents(secrets) == before


def test_what_was_lost_half_way_is_made(secrets: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy/make_secrets.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    before = contents(tmp_path)
    for name in ("pedidos.database.env", "public/pedidos.jwks.json", "compose.env"):
        (tmp_path / name).unlink()
    subprocess.run(command, check=True, timeout=60)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["productos", "inventario", "pedidos", "operador"])
def test_keys_and_their_public_halves(secrets: Path, name: str) -> None:
    path = secrets / "keys" / f"{name}.pem"
    assert not is_exposed(path)
    assert path.stat().st_gid == (10001 if os.geteuid() == 0 else os.getgid())
    assert SigningKey.from_pem(path.read_bytes()).public_set() == (secrets / f"public/{name}.jwks.json").read_bytes()


def test_passwords_are_for_their_owner_alone_and_all_differ(secrets: Path) -> None:
    values = []
    for path in secrets.glob("*.env"):
        assert mode(path) == 0o600
        values += [line.split("=", 1)[1] for line in path.read_text().splitlines() if "://" not in line]
    passwords = [value for value in values if ":" not in value]
    assert len(set(passwords)) == len(passwords) == 8
    assert min(map(len, passwords)) >= MASTER_KEY_MIN
