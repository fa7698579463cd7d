"""An administrator made from outside: who had the account is out, and is told."""

from typing import Any

import pytest
import sqlalchemy as sa
from auth_internals import count, database, use_cases
from authenticator import Ana
from mailed import AVISO, EMAIL, PASSWORD, Recibir

from comanda.auth import administradores as modulo
from comanda.auth.administradores import Administradores, Nombramiento
from comanda.auth.domain import EmailEnUso
from comanda.auth.politica import Politica
from comanda.auth.tables import auditoria, familias, origenes, usuarios
from comanda.common.problems import DatosInvalidos
from comanda.testing import FakeClock

NUEVA = "otra muy distinta"
pytestmark = pytest.mark.usefixtures("sin_bucle")


@pytest.fixture
def administradores(api: Any, make_settings: Any, clock: FakeClock) -> Administradores:
    auth = use_cases(api)
    return Administradores(
        database(api),
        clock,
        passwords=auth.cuentas._passwords,
        politica=Politica(make_settings(context_words="panadería")),
        buzon=auth.buzon,
        origenes=auth.cuentas._origenes,
    )


async def nombrar(administradores: Administradores, password: str = NUEVA, email: str = EMAIL) -> Nombramiento:
    return await administradores.nombrar(email, password, orden="prueba")


class TestNueva:
    async def test_entra_como_admin(self, api: Any, administradores: Administradores, recibir: Recibir) -> None:
        assert await nombrar(administradores) == Nombramiento(nuevo=True)
        answer = await api.http.get("/auth/usuarios", headers=await api.cabeceras(EMAIL, NUEVA))
        assert answer.status_code == 200
        assert await recibir() == []

    @pytest.mark.parametrize("mala", ["corta", "password1234", "panaderia202626", "administrador12"])
    async def test_la_politica_es_la_de_todos(self, api: Any, administradores: Administradores, mala: str) -> None:
        with pytest.raises(DatosInvalidos):
            await nombrar(administradores, mala)
        assert await count(api, usuarios) == 1

    async def test_otro_se_registra_a_la_vez(
        self, api: Any, administradores: Administradores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def tarde(*_: Any, **__: Any) -> None:
            return None

        await api.registrar()
        monkeypatch.setattr(modulo.Repository, "leer_por_email", tarde)
        with pytest.raises(EmailEnUso):
            await nombrar(administradores)


class TestDeAntes:
    async def test_quien_la_tenia_queda_fuera(
        self, con_factor: Ana, api: Any, administradores: Administradores, recibir: Recibir
    ) -> None:
        assert await count(api, origenes) > 0
        assert await count(api, familias) > 0
        await recibir()
        assert await nombrar(administradores) == Nombramiento(nuevo=False, tenia_factor=True)
        assert await count(api, origenes) == await count(api, familias) == 0
        assert (await api.pedir_token(EMAIL, PASSWORD)).json()["error"] == "invalid_grant"
        assert (await api.http.get("/auth/usuarios", headers=await api.cabeceras(EMAIL, NUEVA))).status_code == 200

    async def test_se_le_dice(self, api: Any, administradores: Administradores, recibir: Recibir) -> None:
        await api.registrar()
        await nombrar(administradores, email=EMAIL.upper())
        avisos = [mensaje for mensaje in await recibir() if mensaje["Subject"] == AVISO]
        assert [mensaje["To"] for mensaje in avisos] == [EMAIL]

    async def test_queda_en_la_auditoria(self, api: Any, administradores: Administradores) -> None:
        usuario = await api.registrar()
        await nombrar(administradores)
        async with database(api).read() as connection:
            query = sa.select(auditoria).where(auditoria.c.suceso == "admin_creado")
            [entry] = (await connection.execute(query)).mappings().all()
        assert (entry["objeto"], entry["detalle"]) == (usuario["id"], {"orden": "prueba"})

    async def test_cuesta_lo_que_dicen_los_ajustes(self, api: Any, administradores: Administradores) -> None:
        await api.registrar()
        await nombrar(administradores)
        async with database(api).read() as connection:
            query = sa.select(usuarios.c.password_hash).where(usuarios.c.email == EMAIL)
            assert "$m=8,t=1,p=1$" in (await connection.execute(query)).scalar_one()
