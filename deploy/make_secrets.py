"""Makes the secrets of a deployment: `.venv/bin/python deploy/make_secrets.py`, by default into deploy/secrets/.

Once: what is there stays, so it is safe to repeat. docs/operations.md (Secrets) says what each file is for. The folder
belongs to the backup, and nowhere else.
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from comanda.common.files import create_once, write_if_changed
from comanda.common.signing import SigningKey

SERVICES = ("auth", "productos", "inventario", "pedidos")
SIGNERS = ("productos", "inventario", "pedidos", "operador")
USER = 10001
"""Who runs in the images (deploy/image/Dockerfile), if root made the secrets; else whoever did."""


def main(folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    is_root = os.geteuid() == 0
    for name in SIGNERS:
        _signing_key(folder, name, readable_by=USER if is_root else None)
    _once(folder / "auth.env", {"AUTH_MASTER_KEY": _long, "COMANDA_ADMIN_PASSWORD": _long})
    _once(folder / "grafana.env", {"GF_SECURITY_ADMIN_PASSWORD": _long})
    passwords = {f"{service.upper()}_PASSWORD": _long for service in SERVICES}
    _once(folder / "postgres.env", {"POSTGRES_PASSWORD": _long, **passwords})
    _derived(folder, f"{USER}:{USER}" if is_root else f"{os.getuid()}:{os.getgid()}")
    print(folder)


def _signing_key(folder: Path, name: str, *, readable_by: int | None) -> None:
    """`keys/<name>.pem`, for its owner alone; `public/<name>.jwks.json`, for everybody."""
    key = SigningKey.load_or_create(folder / "keys" / f"{name}.pem")
    (folder / "keys" / f"{name}.jwks.json").unlink(missing_ok=True)
    (folder / "keys").chmod(0o711)
    if readable_by is not None:
        os.chown(folder / "keys" / f"{name}.pem", 0, readable_by)
        (folder / "keys" / f"{name}.pem").chmod(0o640)
    (folder / "public").mkdir(mode=0o755, exist_ok=True)
    write_if_changed(folder / "public" / f"{name}.jwks.json", key.public_set(), 0o644)


def _once(path: Path, values: Mapping[str, Callable[[], str]]) -> None:
    create_once(path, _lines({name: make() for name, make in values.items()}), 0o600)


def _derived(folder: Path, user: str) -> None:
    """What compose.yaml needs: each service's database by its own role, and as whom containers run."""
    made = dict(line.split("=", 1) for line in (folder / "postgres.env").read_text().splitlines())
    for service in SERVICES:
        role = f"comanda_{service}"
        url = f"postgresql://{role}:{made[f'{service.upper()}_PASSWORD']}@postgres:5432/{role}"
        write_if_changed(folder / f"{service}.database.env", _lines({f"{service.upper()}_DATABASE_URL": url}), 0o600)
    write_if_changed(folder / "compose.env", _lines({"COMANDA_USER": user}), 0o600)


def _lines(values: Mapping[str, str]) -> bytes:
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def _long() -> str:
    """256 random bits, of characters that mean nothing to a shell, a URL or SQL."""
    return secrets.token_hex(32)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "secrets")
