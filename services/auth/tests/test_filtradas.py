"""The search in the file, and what is no such file."""

import os
from pathlib import Path

import pytest
from breaches import digest, lines, write_list

from comanda.auth.filtradas import Filtradas

PASSWORDS = [f"filtrada número {number}" for number in range(500)]


class TestContiene:
    @pytest.mark.parametrize(("newline", "end"), [("\n", "\n"), ("\n", ""), ("\r\n", "\r\n"), ("\r\n", "")])
    @pytest.mark.parametrize("count", [1, 2, 3, 500])
    def test_cada_una_y_ninguna_otra(self, tmp_path: Path, count: int, newline: str, end: str) -> None:
        inside, outside = PASSWORDS[:count], [f"otra {number}" for number in range(500)]
        filtradas = Filtradas(write_list(tmp_path / "list", inside, newline=newline, end=end))
        filtradas.comprobar()
        assert all(filtradas.contiene(password) for password in inside)
        assert not any(filtradas.contiene(password) for password in outside)

    def test_no_lo_que_solo_empieza_igual(self, tmp_path: Path) -> None:
        wanted = digest("la buscada")
        neighbours = [wanted[:-1] + digit for digit in "0123456789ABCDEF" if wanted[-1] != digit]
        path = tmp_path / "list"
        path.write_text("".join(f"{neighbour}:3\n" for neighbour in neighbours))
        assert not Filtradas(path).contiene("la buscada")

    def test_se_puede_cambiar_por_otra_mas_nueva(self, tmp_path: Path) -> None:
        filtradas = Filtradas(write_list(tmp_path / "list", ["antes"]))
        assert not filtradas.contiene("después")
        write_list(tmp_path / "newer", ["antes", "después"]).rename(tmp_path / "list")
        assert filtradas.contiene("después")

    def test_lee_poco_de_un_fichero_enorme(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reads: list[int] = []

        def pread(descriptor: int, count: int, offset: int) -> bytes:
            reads.append(count)
            return real(descriptor, count, offset)

        real = os.pread
        monkeypatch.setattr(os, "pread", pread)
        path = write_list(tmp_path / "list", ["está", "también"])
        with path.open("r+b") as file:
            file.truncate(50_000_000_000)  # sparse: nothing is written
        assert not Filtradas(path).contiene("no está")
        assert 25 < len(reads) < 45
        assert sum(reads) < 10_000


class TestComprobar:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n",
            b"password\n123456\n",
            ("\n".join(lines(PASSWORDS)) + "\n").lower().encode(),
            "".join(f"{line[:32]}:5\n" for line in lines(PASSWORDS)).encode(),  # NTLM
            "".join(f"{line[:40]}\n" for line in lines(PASSWORDS)).encode(),
            b"\0" * 100_000,
            b"A" * 100_000,
        ],
    )
    def test_no_es_la_lista(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "list").write_bytes(content)
        with pytest.raises(ValueError, match="no es la lista de Have I Been Pwned"):
            Filtradas(tmp_path / "list").comprobar()

    def test_en_otro_orden(self, tmp_path: Path) -> None:
        by_count = sorted(lines(PASSWORDS), key=lambda line: -int(line[41:]))
        (tmp_path / "list").write_text("\n".join(by_count))
        with pytest.raises(ValueError, match="no está ordenado"):
            Filtradas(tmp_path / "list").comprobar()

    def test_una_carpeta(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no es un fichero"):
            Filtradas(tmp_path).comprobar()

    def test_no_esta(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Filtradas(tmp_path / "list").comprobar()
