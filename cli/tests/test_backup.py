"""Backups of SQLite databases are whole or not there; until a restore that died is repeated, nothing starts."""

import json
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comanda.cli import up
from comanda.cli.backup import backup
from comanda.cli.environment import SERVICES
from comanda.cli.errors import CommandFailed
from comanda.cli.restore import UNFINISHED, restore
from comanda.testing.postgres import memory_folder

REVISIONS = {"auth": "0012", "productos": "0002", "inventario": "0003", "pedidos": "0004"}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: these tests sync much."""
    with tempfile.TemporaryDirectory(prefix="comanda-backup-", dir=memory_folder()) as folder:
        yield Path(folder)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose databases hold one number each, and its master key."""
    folder = tmp_path / "data"
    monkeypatch.setattr("os.environ", {"COMANDA_DATA": str(folder)})
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "master.key").write_text("secret")
    for service in SERVICES:
        with closing(sqlite3.connect(folder / f"{service}.db")) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES (?)", [REVISIONS[service]])
            database.execute("CREATE TABLE numbers (number INTEGER)")
    write(folder, 1)
    return folder


def write(data: Path, number: int) -> None:
    for service in SERVICES:
        with closing(sqlite3.connect(data / f"{service}.db")) as database, database:
            database.execute("INSERT INTO numbers VALUES (?)", [number])


def numbers(data: Path) -> dict[str, list[int]]:
    found = {}
    for service in SERVICES:
        with closing(sqlite3.connect(data / f"{service}.db")) as database:
            found[service] = [number for (number,) in database.execute("SELECT number FROM numbers ORDER BY number")]
    return found


def all_are(*expected: int) -> dict[str, list[int]]:
    return {service: list(expected) for service in SERVICES}


class Died(BaseException):
    """As a killed process does, it runs nothing more."""


def _die(*_: object) -> None:
    raise Died


class TestBackup:
    def test_mientras_otro_escribe(self, data: Path, tmp_path: Path) -> None:
        """What was committed is in it, though it stands in the WAL alone; what is not committed is not."""
        with closing(sqlite3.connect(data / "pedidos.db", isolation_level=None)) as writer:
            writer.execute("INSERT INTO numbers VALUES (2)")
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO numbers VALUES (3)")
            backup(tmp_path / "copy", [])
            writer.execute("COMMIT")
        assert numbers(tmp_path / "copy") == all_are(1) | {"pedidos": [1, 2]}

    def test_solo_para_su_dueno(self, data: Path, tmp_path: Path) -> None:
        backup(tmp_path / "copy", [])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [*(tmp_path / "copy").rglob("*")]}
        assert modes.pop("keys") == stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
        assert set(modes) == {"manifest.json", "master.key", *(f"{service}.db" for service in SERVICES)}
        assert set(modes.values()) == {0o600}

    def test_el_manifiesto(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PEDIDOS_SIGNING_KEY", "/run/secrets/pedidos.pem")
        monkeypatch.setenv("AUTH_MASTER_KEY", "x" * 40)
        backup(tmp_path / "copy", [])
        text = (tmp_path / "copy" / "manifest.json").read_text()
        manifest = json.loads(text)
        assert {name: one["revision"] for name, one in manifest["databases"].items()} == REVISIONS
        moments = [manifest["databases"][name]["en"] for name in ("inventario", "pedidos", "productos", "auth")]
        assert moments == sorted(moments)  # who is referred to is copied after who refers to it
        assert manifest["external"] == {
            "PEDIDOS_SIGNING_KEY": "/run/secrets/pedidos.pem",
            "AUTH_MASTER_KEY": "del entorno",
        }
        assert "x" * 40 not in text

    def test_muerta_a_medias(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Dead when all is copied and only the end is missing, it left nothing that looks like a backup."""
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            patch.setattr(Path, "rename", _die)
            with pytest.raises(Died):
                backup(tmp_path / "copy", [])
        assert not (tmp_path / "copy").exists()
        backup(tmp_path / "copy", [])
        assert numbers(tmp_path / "copy") == all_are(1)

    def test_no_se_hace(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "there").mkdir()
        with pytest.raises(CommandFailed, match="ya existe"):
            backup(tmp_path / "there", [])
        with pytest.raises(CommandFailed, match="no hay servicio caja"):
            backup(tmp_path / "copy", ["caja"])
        (data / "auth.db").write_bytes(b"no database at all" * 100)
        with pytest.raises(CommandFailed, match=r"auth\.db: no se puede copiar"):
            backup(tmp_path / "copy", [])
        monkeypatch.setenv("PEDIDOS_DATABASE_URL", "postgresql://u@h/pedidos")
        with pytest.raises(CommandFailed, match=r"PEDIDOS_DATABASE_URL.*pg_basebackup"):
            backup(tmp_path / "copy", [])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "there"]


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """A backup of the installation, which has gone on since."""
    backup(tmp_path / "copy", [])
    write(data, 2)
    return tmp_path / "copy"


def spoil(copy: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))


class TestRestore:
    def test_en_una_maquina_nueva(self, data: Path, copy: Path) -> None:
        shutil.rmtree(data)
        restore(copy, replace=False)
        assert numbers(data) == all_are(1)
        assert stat.S_IMODE((data / "keys" / "master.key").stat().st_mode) == 0o600
        assert not list(data.glob("before-restore-*"))

    def test_lo_que_habia_se_guarda(self, data: Path, copy: Path) -> None:
        with pytest.raises(CommandFailed, match="--replace"):
            restore(copy, replace=False)
        assert numbers(data) == all_are(1, 2)
        restore(copy, replace=True)
        assert numbers(data) == all_are(1)
        (kept,) = data.glob("before-restore-*")
        assert numbers(kept) == all_are(1, 2)

    def test_un_wal_viejo_no_se_mezcla(self, data: Path, copy: Path) -> None:
        """What a killed service left beside its database goes with it."""
        dying = "import os, sqlite3; d = sqlite3.connect('auth.db', isolation_level=None);"
        dying += "d.execute('INSERT INTO numbers VALUES (3)'); os._exit(9)"
        subprocess.run([sys.executable, "-c", dying], cwd=data)
        assert (data / "auth.db-wal").stat().st_size > 0
        restore(copy, replace=True)
        assert numbers(data) == all_are(1)
        (kept,) = data.glob("before-restore-*")
        assert numbers(kept)["auth"] == [1, 2, 3]

    def test_un_servicio_la_tiene_abierta(self, data: Path, copy: Path) -> None:
        with closing(sqlite3.connect(data / "pedidos.db")) as service:
            service.execute("SELECT * FROM numbers").fetchall()
            with pytest.raises(CommandFailed, match=r"pedidos\.db: un servicio la tiene abierta"):
                restore(copy, replace=True)
        assert numbers(data) == all_are(1, 2)

    def test_en_marcha(self, data: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("comanda.cli.supervision.running_pid", lambda _: 42)
        with pytest.raises(CommandFailed, match="pid 42"):
            restore(copy, replace=True)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda manifest: manifest.update(format=2), "otra versión"),
            (lambda manifest: manifest["databases"]["auth"].update(revision="9999"), "auth: su esquema.*más nueva"),
            (lambda manifest: manifest["sha256"].update({"auth.db": "0" * 64}), r"auth\.db: no es como se copió"),
            (lambda manifest: manifest["sha256"].update({"none.db": "0" * 64}), r"none\.db: falta"),
            (lambda manifest: manifest["sha256"].update({"../x": "0" * 64}), "dañado"),
            (lambda manifest: manifest["sha256"].pop("auth.db"), "dañado"),
            (lambda manifest: manifest.pop("databases"), "dañado"),
        ],
    )
    def test_otra_copia(self, data: Path, copy: Path, change: Callable[[Any], object], said: str) -> None:
        spoil(copy, change)
        with pytest.raises(CommandFailed, match=said):
            restore(copy, replace=True)
        assert numbers(data) == all_are(1, 2)
        assert not (data / UNFINISHED).exists()

    def test_sin_manifiesto(self, copy: Path) -> None:
        (copy / "manifest.json").write_text("{")
        with pytest.raises(CommandFailed, match="dañado"):
            restore(copy, replace=True)
        (copy / "manifest.json").unlink()
        with pytest.raises(CommandFailed, match="no es una copia completa"):
            restore(copy, replace=True)

    @pytest.mark.parametrize("step", [1, 2, 5, 10])
    def test_muerta_a_medias(self, data: Path, copy: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wherever it dies, nothing starts on what is half old and half new, and repeating it ends it."""
        steps = 0

        def dying(move: Callable[..., Any]) -> Callable[..., Any]:
            def moved(*arguments: Any) -> Any:
                nonlocal steps
                steps += 1
                if steps == step:
                    raise Died
                return move(*arguments)

            return moved

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", dying(Path.rename))
            patch.setattr(shutil, "move", dying(shutil.move))
            with pytest.raises(Died):
                restore(copy, replace=True)
        with pytest.raises(CommandFailed, match=r"a medias.*comanda restore"):
            up._check_folder_is_free(data)
        restore(copy, replace=False)
        assert numbers(data) == all_are(1)
        up._check_folder_is_free(data)
        kept = {path.name for folder in data.glob("before-restore-*") for path in folder.iterdir()}
        assert kept >= {f"{service}.db" for service in SERVICES}

    def test_de_servicios_sueltos(self, data: Path, tmp_path: Path) -> None:
        """Backups of single services, of different moments, are restored one after the other."""
        for number, service in enumerate(SERVICES, start=2):
            backup(tmp_path / service, [service])
            write(data, number)
        for service in SERVICES:
            restore(tmp_path / service, replace=True)
        found = numbers(data)
        assert [len(found[service]) for service in SERVICES] == [1, 2, 3, 4]
