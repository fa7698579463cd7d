"""JSON shapes of productos."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from comanda.common.money import Money, MoneyInput
from comanda.common.requests import Body, Boolean, Line, Text, filled
from comanda.productos.domain import Producto

Sku = Annotated[Line, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Nombre = Annotated[Line, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Descripcion = Annotated[Text, Field(max_length=5000)]


class ProductoNuevo(Body):
    sku: Sku
    nombre: Nombre
    descripcion: Descripcion = ""
    precio: MoneyInput


class ProductoCambios(Body):
    """A JSON Merge Patch (RFC 7396): what is absent stays; `null` empties the description, and nothing else."""

    sku: Sku | None = None
    nombre: Nombre | None = None
    descripcion: Descripcion | None = None
    precio: MoneyInput | None = None
    activo: Boolean | None = None

    @field_validator("sku", "nombre", "precio", "activo", mode="before")
    @classmethod
    def _cannot_be_removed(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("texto", "No se puede quitar.")
        return value

    def cambios(self) -> dict[str, object]:
        """The changes in the domain's words."""
        cambios = {name: getattr(self, name) for name in self.model_fields_set}
        if "descripcion" in cambios:
            cambios["descripcion"] = cambios["descripcion"] or ""
        if "precio" in cambios:
            cambios["precio_centimos"] = cambios.pop("precio")
        return cambios


class ProductoDocumento(BaseModel):
    id: UUID
    sku: str
    nombre: str
    descripcion: str
    precio: Money
    moneda: str
    activo: bool
    creado_en: AwareDatetime
    actualizado_en: AwareDatetime

    @classmethod
    def de(cls, producto: Producto, moneda: str) -> "ProductoDocumento":
        return filled(
            cls,
            id=producto.id,
            sku=producto.sku,
            nombre=producto.nombre,
            descripcion=producto.descripcion,
            precio=producto.precio_centimos,
            moneda=moneda,
            activo=producto.activo,
            creado_en=producto.creado_en,
            actualizado_en=producto.actualizado_en,
        )
