"""A product of the catalogue and its rules."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from comanda.common.problems import Problem

SORT_CHARACTERS = 200
"""How much of a folded name decides its place in a list; folding can lengthen a name eighteenfold."""


@dataclass(frozen=True, slots=True)
class Producto:
    """What the shop sells. It is never deleted: orders and stock refer to it."""

    id: UUID
    sku: str
    nombre: str
    descripcion: str
    precio_centimos: int
    activo: bool
    version: int
    creado_en: datetime
    actualizado_en: datetime

    def modificar(self, cambios: Mapping[str, Any], ahora: datetime) -> "Producto":
        """The product with those fields changed: a new version, unless nothing is different."""
        modificado = replace(self, **cambios)
        if modificado == self:
            return self
        return replace(modificado, version=self.version + 1, actualizado_en=ahora)

    def retirar(self, ahora: datetime) -> "Producto":
        """The product as no longer for sale."""
        return self.modificar({"activo": False}, ahora)


class SkuEnUso(Problem):
    """Another product, perhaps a withdrawn one, already has this SKU."""

    status, slug, title = 409, "sku-en-uso", "Ya hay un producto con este SKU"


def plegar(texto: str) -> str:
    """The text without accents and case, so that «cafe» finds «Café».

    Case folding (Unicode §3.13), compatibility decomposition (UAX #15), combining marks dropped.
    """
    descompuesto = unicodedata.normalize("NFKD", texto.casefold())
    return "".join(letra for letra in descompuesto if not unicodedata.combining(letra)).casefold()


def clave_de_orden(nombre: str) -> str:
    """By what a product is sorted when a list is sorted by name."""
    return plegar(nombre)[:SORT_CHARACTERS]


def texto_de_busqueda(producto: Producto) -> str:
    """What a search looks into. The fields are apart by a character that no search can contain."""
    return plegar("\n".join((producto.nombre, producto.sku, producto.descripcion)))
