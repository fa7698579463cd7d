"""What a person may have as a password, by everything that the installation knows."""

import threading
from pathlib import Path

import pytest
import structlog
from breaches import write_list

from comanda.auth import politica
from comanda.auth.politica import Politica
from comanda.auth.settings import Settings
from comanda.common.problems import DatosInvalidos

FILTRADA = "tres tigres en un trigal"


async def objecion(settings: Settings, password: str, *, nombre: str = "Ana Íñiguez") -> str:
    return str(await Politica(settings).objecion(password, email="ana@ejemplo.es", nombre=nombre))


class TestContexto:
    @pytest.mark.parametrize(
        "password", ["comanda20262026", "ejemplo20262026", "iniguez20262026", "carretero202626", "panaderia202626"]
    )
    async def test_la_tienda_la_persona_y_lo_que_diga_quien_la_lleva(self, password: str) -> None:
        settings = Settings(issuer="https://id.carretero.es", context_words="Panadería, pan de pueblo")
        assert "Contiene" in await objecion(settings, password)

    async def test_la_web_donde_se_compra(self) -> None:
        settings = Settings(public_url="https://compras.hornosol.example")
        assert "«hornosol»" in await objecion(settings, "hornosol202626")
        assert await objecion(Settings(), "hornosol202626") == "None"


class TestFiltradas:
    async def test_lo_que_esta_en_la_lista(self, tmp_path: Path) -> None:
        settings = Settings(breached_passwords_file=write_list(tmp_path / "list", [FILTRADA]))
        assert "filtración" in await objecion(settings, FILTRADA)
        assert await objecion(settings, FILTRADA + "es") == "None"

    async def test_da_igual_como_se_compuso(self, tmp_path: Path) -> None:
        settings = Settings(breached_passwords_file=write_list(tmp_path / "list", ["la caña de españa"]))
        assert "filtración" in await objecion(settings, "la can\u0303a de espan\u0303a")

    async def test_un_disco_que_falla_despues_no_impide_cambiarla(self, tmp_path: Path) -> None:
        path = write_list(tmp_path / "list", [FILTRADA])
        settings = Settings(breached_passwords_file=path)
        path.unlink()
        with structlog.testing.capture_logs() as logged:
            assert await objecion(settings, FILTRADA) == "None"
            assert "usadas" in await objecion(settings, "password1234")
        assert [line["event"] for line in logged] == ["breached_passwords_unreadable"]
        assert FILTRADA not in str(logged)


class TestExigir:
    async def test_dice_el_campo_y_el_motivo(self) -> None:
        with pytest.raises(DatosInvalidos) as refusal:
            await Politica(Settings()).exigir("nueva", "password1234", email="a@b.es", nombre="")
        [error] = refusal.value.extras["errores"]
        assert (error["campo"], "usadas" in error["mensaje"]) == ("nueva", True)

    async def test_no_lee_en_el_bucle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[int] = []
        monkeypatch.setattr(politica, "objecion", lambda *_: threads.append(threading.get_ident()))
        await Politica(Settings()).exigir("nueva", "una frase cualquiera", email="a@b.es", nombre="")
        assert threads
        assert threading.get_ident() not in threads
