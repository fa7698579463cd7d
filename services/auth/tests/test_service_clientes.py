"""What the use cases of service accounts promise when several of them run at once, and what the database keeps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
from auth_internals import count, database, entrar, use_cases
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.app import create_app
from comanda.auth.cuentas_de_servicio import Actor, CuentasDeServicio, TokenDeServicio
from comanda.auth.domain import ClienteInvalido, DemasiadosIntentos
from comanda.auth.repository_clientes import RepositoryClientes
from comanda.auth.settings import Settings
from comanda.auth.tables import cuentas_de_servicio, metadata, secretos_de_servicio
from comanda.testing import FakeClock, running
from comanda.testing.schema import schema_differences

ADMIN_EMAIL, ADMIN_PASSWORD = "jefa@comanda.test", "la-clave-de-la-jefa"
PATH = "/auth/clientes"
ERP = {"nombre": "ERP", "alcances": ["inventario:escribir"]}


@pytest.fixture
async def replicas(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[tuple[list[httpx2.AsyncClient], list[dict[str, str]]]]:
    """Two on one database, and the headers of an administrator of its own at each."""
    async with AsyncExitStack() as stack:
        apps = [create_app(make_settings(), clock=clock) for _ in range(2)]
        clients = [await stack.enter_async_context(running(app)) for app in apps]
        jefa = await entrar(clients[0], ADMIN_EMAIL, ADMIN_PASSWORD)
        body = {"email": "otra@ejemplo.es", "password": "caballo correcto"}
        otra = (await clients[0].post("/auth/usuarios", json=body)).json()["id"]
        await clients[0].patch(f"/auth/usuarios/{otra}", json={"rol": "admin"}, headers=jefa)
        yield clients, [jefa, await entrar(clients[1], body["email"], body["password"])]


async def pedir(client: httpx2.AsyncClient, cliente_id: str, secreto: str) -> int:
    form = {"grant_type": "client_credentials", "client_id": cliente_id, "client_secret": secreto}
    return (await client.post("/auth/token", data=form)).status_code


class TestReplicas:
    async def test_rotar_a_la_vez(self, replicas: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        clients, admins = replicas
        caducar = RepositoryClientes.caducar_actual

        async def slowly(self: RepositoryClientes, connection: AsyncConnection, *args: Any) -> None:
            for _ in range(20):  # time for the others to come as far, if nothing kept them
                await connection.execute(sa.select(1))
            await caducar(self, connection, *args)

        monkeypatch.setattr(RepositoryClientes, "caducar_actual", slowly)
        cliente = (await clients[0].post(PATH, json=ERP, headers=admins[0])).json()
        path = f"{PATH}/{cliente['id']}/secreto"
        answers = await asyncio.gather(*(clients[n % 2].post(path, headers=admins[n % 2]) for n in range(4)))
        nuevos = [answer.json()["client_secret"] for answer in answers]
        for secreto in (cliente["client_secret"], *nuevos):
            assert await pedir(clients[1], cliente["id"], secreto) == 200
        clock.advance(24 * 3600)
        left = [await pedir(clients[0], cliente["id"], secreto) for secreto in (cliente["client_secret"], *nuevos)]
        assert sorted(left) == [200, 401, 401, 401, 401]

    async def test_rotar_y_revocar_a_la_vez(self, replicas: Any) -> None:
        clients, admins = replicas
        cliente = (await clients[0].post(PATH, json=ERP, headers=admins[0])).json()
        path = f"{PATH}/{cliente['id']}"
        rotated, revoked = await asyncio.gather(
            clients[0].post(f"{path}/secreto", headers=admins[0]), clients[1].delete(path, headers=admins[1])
        )
        assert revoked.status_code == 204
        assert rotated.status_code in (200, 409)
        secretos = [cliente["client_secret"], rotated.json().get("client_secret", "cmd_")]
        assert [await pedir(clients[0], cliente["id"], secreto) for secreto in secretos] == [401, 401]

    async def test_dos_cambios_con_la_misma_version(self, replicas: Any) -> None:
        clients, admins = replicas
        cliente = (await clients[0].post(PATH, json=ERP, headers=admins[0])).json()
        answers = await asyncio.gather(
            *(
                clients[n].patch(
                    f"{PATH}/{cliente['id']}", json={"nombre": f"n{n}"}, headers=admins[n] | {"If-Match": '"1"'}
                )
                for n in range(2)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412]


class Mundo:
    """The use cases, and an account with its secret."""

    def __init__(self, api: Any, cuentas: CuentasDeServicio, cliente_id: UUID, secreto: str) -> None:
        self.api = api
        self.cuentas = cuentas
        self.cliente_id = cliente_id
        self.secreto = secreto

    async def conceder(self, cliente_id: str | None = None, secreto: str | None = None) -> TokenDeServicio:
        return await self.cuentas.conceder(
            cliente_id or str(self.cliente_id), secreto or self.secreto, alcance=None, origen="10.0.0.1"
        )

    async def fila(self) -> sa.Row[Any]:
        async with database(self.api).read() as connection:
            return (await connection.execute(sa.select(cuentas_de_servicio))).one()


@pytest.fixture
async def mundo(api: Any) -> Mundo:
    admin = (await api.http.get("/auth/yo", headers=await api.de_admin())).json()["id"]
    cuentas = use_cases(api).cuentas_de_servicio
    cuenta, secreto = await cuentas.crear(
        nombre="ERP", alcances=("inventario:escribir",), actor=Actor(UUID(admin), "10.0.0.1")
    )
    return Mundo(api, cuentas, cuenta.id, secreto)


def statements(api: Any) -> list[str]:
    """What is asked of the database from now on."""
    asked: list[str] = []

    def remember(_con: Any, _cur: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sa.event.listen(database(api).engine.sync_engine, "before_cursor_execute", remember)
    return asked


class TestConceder:
    async def test_a_la_vez_no_se_adivina_mas_de_lo_que_se_puede(self, mundo: Mundo) -> None:
        guesses = [mundo.conceder(secreto=f"cmd_{n}") for n in range(30)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(result) for result in results].count(ClienteInvalido) == 10
        assert [type(result) for result in results].count(DemasiadosIntentos) == 20

    async def test_quien_acierta_no_gasta_intentos(self, mundo: Mundo) -> None:
        for _ in range(15):
            assert (await mundo.conceder()).scope == "inventario:escribir"

    @pytest.mark.parametrize("cliente_id", ["019b796d-d600-7000-8000-000000000000", "nadie", "'"])
    async def test_lo_desconocido_cuesta_lo_mismo(self, mundo: Mundo, cliente_id: str) -> None:
        asked = statements(mundo.api)
        with pytest.raises(ClienteInvalido):
            await mundo.conceder(secreto="cmd_no_es_este")
        for_known = asked.copy()
        asked.clear()
        with pytest.raises(ClienteInvalido):
            await mundo.conceder(cliente_id)
        assert asked == for_known
        assert len(for_known) >= 2

    async def test_no_hay_una_escritura_por_token(self, mundo: Mundo, clock: FakeClock) -> None:
        asked = statements(mundo.api)
        for _ in range(5):
            await mundo.conceder()
            clock.advance(10)
        assert [statement.split()[0] for statement in asked].count("UPDATE") == 1

    async def test_un_alcance_que_nadie_debe_tener_no_se_concede(self, mundo: Mundo) -> None:
        async with database(mundo.api).transaction() as connection:
            alcances = "usuarios:gestionar reservas:escribir inventario:leer"
            await connection.execute(sa.update(cuentas_de_servicio).values(alcances=alcances))
        assert (await mundo.conceder()).scope == "inventario:leer"

    async def test_el_reloj_que_retrocede_no_borra_el_uso(self, mundo: Mundo, clock: FakeClock) -> None:
        await mundo.conceder()
        before = (await mundo.fila()).ultimo_uso
        clock.set_wall(-3600)
        await mundo.conceder()
        assert (await mundo.fila()).ultimo_uso == before


class TestLoGuardado:
    async def test_del_secreto_solo_su_huella(self, mundo: Mundo) -> None:
        async with database(mundo.api).read() as connection:
            (row,) = (await connection.execute(sa.select(secretos_de_servicio))).all()
        assert mundo.secreto not in str(row)
        assert len(row.huella) == 64

    async def test_los_secretos_caducados_se_olvidan(self, mundo: Mundo, clock: FakeClock) -> None:
        admin = Actor(
            UUID((await mundo.api.http.get("/auth/yo", headers=await mundo.api.de_admin())).json()["id"]), "10.0.0.1"
        )
        for _ in range(3):
            await mundo.cuentas.rotar(mundo.cliente_id, inmediato=False, actor=admin)
            clock.advance(24 * 3600)
        assert await count(mundo.api, secretos_de_servicio) == 2  # the current one, and the one that ended just now

    async def test_las_migraciones_llevan_a_las_tablas(self, make_settings: Callable[..., Settings]) -> None:
        assert await schema_differences(make_settings().database_url, metadata) == []
