from pathlib import Path

import pytest

from comanda.cli import credentials
from comanda.cli.credentials import Credentials
from comanda.cli.errors import CommandFailed


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {"COMANDA_DATA": str(tmp_path)}


def write(tmp_path: Path, text: str = "email: a@b.c\npassword: pass: word\n") -> None:
    (tmp_path / "admin-credentials.txt").write_text(text)


class TestFind:
    def test_dadas(self, variables: dict[str, str], tmp_path: Path) -> None:
        write(tmp_path)
        assert credentials.find(variables, "x@y.z", "secret") == Credentials("x@y.z", "secret")

    def test_del_entorno(self, variables: dict[str, str], tmp_path: Path) -> None:
        write(tmp_path)
        found = credentials.find(variables | {"COMANDA_ADMIN_PASSWORD": "secret"})
        assert found == Credentials(credentials.DEFAULT_EMAIL, "secret")

    def test_escritas_por_auth(self, variables: dict[str, str], tmp_path: Path) -> None:
        write(tmp_path)
        assert credentials.find(variables) == Credentials("a@b.c", "pass: word")
        assert credentials.find(variables, "a@b.c") == Credentials("a@b.c", "pass: word")

    @pytest.mark.parametrize("given", [{}, {"COMANDA_ADMIN_PASSWORD": "secret"}])
    def test_con_un_codigo(self, variables: dict[str, str], tmp_path: Path, given: dict[str, str]) -> None:
        write(tmp_path)
        assert credentials.find(variables | given | {"COMANDA_ADMIN_CODE": "123456"}).code == "123456"
        assert credentials.find(variables | given | {"COMANDA_ADMIN_CODE": ""}).code is None

    def test_de_otra_persona(self, variables: dict[str, str], tmp_path: Path) -> None:
        write(tmp_path)
        with pytest.raises(CommandFailed, match="set COMANDA_ADMIN_EMAIL and COMANDA_ADMIN_PASSWORD"):
            credentials.find(variables, "x@y.z")

    @pytest.mark.parametrize("text", ["", "hello", "email: a@b.c\n"])
    def test_el_fichero_dice_otra_cosa(self, variables: dict[str, str], tmp_path: Path, text: str) -> None:
        write(tmp_path, text)
        with pytest.raises(CommandFailed, match="no password"):
            credentials.find(variables)

    def test_nada(self, variables: dict[str, str]) -> None:
        with pytest.raises(CommandFailed, match="no password"):
            credentials.find(variables)
