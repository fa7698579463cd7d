"""Secrets in files, and who may read them."""

import os
from pathlib import Path
from typing import Any

import pytest

from comanda.common.files import create_once, is_exposed, read_secret
from comanda.common.signing import SigningKey


class TestCreateOnce:
    def test_neither_file_nor_folder_is_for_others(self, tmp_path: Path) -> None:
        path = tmp_path / "keys" / "a.pem"
        before = os.umask(0)
        try:
            create_once(path, b"x", 0o600)
        finally:
            os.umask(before)
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert not is_exposed(path)


class TestIsExposed:
    @pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o400, False), (0o620, True), (0o604, True)])
    def test_by_its_mode(self, tmp_path: Path, mode: int, exposed: bool) -> None:
        path = tmp_path / "a.pem"
        path.touch()
        path.chmod(mode)
        assert is_exposed(path) is exposed

    def test_the_group_may_read_what_root_owns(self, tmp_path: Path) -> None:
        path = tmp_path / "a.pem"
        path.touch()
        path.chmod(0o640)
        assert is_exposed(path) is (os.geteuid() != 0)


class TestReadSecret:
    def test_says_so_if_others_may_read_it(self, tmp_path: Path, logs: list[Any]) -> None:
        path = tmp_path / "a.pem"
        path.write_bytes(b"secreto")
        path.chmod(0o600)
        assert (read_secret(path), logs) == (b"secreto", [])
        path.chmod(0o644)
        assert read_secret(path) == b"secreto"
        assert [(entry["event"], entry["path"]) for entry in logs] == [("secret_file_exposed", str(path))]
        assert "secreto" not in str(logs)

    def test_the_key_of_a_service(self, tmp_path: Path, logs: list[Any]) -> None:
        path = tmp_path / "a.pem"
        SigningKey.load_or_create(path)
        assert logs == []
        path.chmod(0o644)
        SigningKey.load_or_create(path)
        assert [entry["event"] for entry in logs] == ["secret_file_exposed"]
