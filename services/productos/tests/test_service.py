"""What only the use cases decide; the rest shows through HTTP in test_routes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.pagination import PageRequest
from comanda.common.problems import NoEncontrado, VersionObsoleta
from comanda.productos.domain import SkuEnUso
from comanda.productos.service import Catalogo
from comanda.testing import Databases, FakeClock

PAGINA = PageRequest()
CAFE: dict[str, Any] = {"sku": "CAF-1", "nombre": "Café", "descripcion": "", "precio_centimos": 450}


@pytest.fixture
async def catalogo(databases: Databases, clock: FakeClock) -> AsyncIterator[Catalogo]:
    database = Database(await databases.new("comanda.productos"), clock=clock)
    yield Catalogo(database, clock)
    await database.aclose()


class TestCrear:
    async def test_muchos_a_la_vez_con_el_mismo_sku(self, catalogo: Catalogo) -> None:
        resultados = await asyncio.gather(*(catalogo.crear(**CAFE) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(resultado, SkuEnUso) for resultado in resultados) == 7
        assert len((await catalogo.listar(PAGINA)).items) == 1


class TestModificar:
    async def test_dos_a_la_vez_sobre_la_misma_version(self, catalogo: Catalogo) -> None:
        producto = await catalogo.crear(**CAFE)
        resultados = await asyncio.gather(
            *(catalogo.modificar(producto.id, {"nombre": nombre}, Precondition(['"1"'])) for nombre in ("a", "b")),
            return_exceptions=True,
        )
        assert sum(isinstance(resultado, VersionObsoleta) for resultado in resultados) == 1
        assert (await catalogo.consultar(producto.id)).version == 2

    async def test_campos_distintos_a_la_vez_se_suman(self, catalogo: Catalogo) -> None:
        producto = await catalogo.crear(**CAFE)
        await asyncio.gather(
            catalogo.modificar(producto.id, {"nombre": "Té"}, Precondition()),
            catalogo.modificar(producto.id, {"precio_centimos": 1}, Precondition()),
        )
        ahora = await catalogo.consultar(producto.id)
        assert (ahora.nombre, ahora.precio_centimos, ahora.version) == ("Té", 1, 3)

    async def test_desconocido(self, catalogo: Catalogo) -> None:
        with pytest.raises(NoEncontrado):
            await catalogo.modificar(uuid4(), {}, Precondition())


class TestRetirar:
    async def test_dos_veces_es_una(self, catalogo: Catalogo, clock: FakeClock) -> None:
        producto = await catalogo.crear(**CAFE)
        await catalogo.retirar(producto.id, Precondition())
        clock.advance(5)
        await catalogo.retirar(producto.id, Precondition())
        retirado = await catalogo.consultar(producto.id)
        assert (retirado.activo, retirado.version) == (False, 2)
        assert retirado.actualizado_en == producto.creado_en
