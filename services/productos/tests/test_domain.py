from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.productos.domain import SORT_CHARACTERS, Producto, clave_de_orden, plegar, texto_de_busqueda

AYER = datetime(2026, 1, 1, tzinfo=UTC)
HOY = AYER + timedelta(days=1)


@pytest.fixture
def producto() -> Producto:
    return Producto(UUID(int=1), "CAF-1", "Café", "Molido", 450, True, 1, AYER, AYER)


class TestModificar:
    def test_cambia_los_campos_y_la_version(self, producto: Producto) -> None:
        otro = producto.modificar({"nombre": "Té", "precio_centimos": 300}, HOY)
        assert (otro.nombre, otro.precio_centimos, otro.version, otro.actualizado_en) == ("Té", 300, 2, HOY)
        assert (otro.id, otro.sku, otro.creado_en) == (producto.id, producto.sku, AYER)

    def test_lo_mismo_no_es_otra_version(self, producto: Producto) -> None:
        assert producto.modificar({"nombre": "Café"}, HOY) is producto
        assert producto.modificar({}, HOY) is producto


class TestRetirar:
    def test_deja_de_estar_activo(self, producto: Producto) -> None:
        retirado = producto.retirar(HOY)
        assert not retirado.activo
        assert retirado.version == 2

    def test_dos_veces(self, producto: Producto) -> None:
        retirado = producto.retirar(HOY)
        assert retirado.retirar(HOY + timedelta(days=1)) is retirado


class TestPlegar:
    @pytest.mark.parametrize(
        ("texto", "plegado"),
        [
            ("Café", "cafe"),
            ("CAFE\u0301", "cafe"),
            ("Ñandú", "nandu"),
            ("Straße", "strasse"),
            ("ﬁn", "fin"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("İstanbul", "istanbul"),
            ("%_\"'/", "%_\"'/"),
        ],
    )
    def test_sin_acentos_ni_mayusculas(self, texto: str, plegado: str) -> None:
        assert plegar(texto) == plegado

    @given(st.text())
    def test_plegar_lo_plegado_no_cambia_nada(self, texto: str) -> None:
        assert plegar(plegar(texto)) == plegar(texto)

    @given(st.text(), st.text(), st.text())
    def test_una_parte_sigue_siendo_una_parte(self, antes: str, parte: str, despues: str) -> None:
        assert plegar(parte) in plegar(f"{antes} {parte} {despues}")


class TestClaveDeOrden:
    def test_es_corta_aunque_plegar_alargue(self) -> None:
        assert len(clave_de_orden("\ufdfa" * 200)) == SORT_CHARACTERS


class TestTextoDeBusqueda:
    def test_contiene_los_tres_campos_y_no_los_une(self, producto: Producto) -> None:
        texto = texto_de_busqueda(producto)
        assert {"cafe", "caf-1", "molido"} == set(texto.split("\n"))
