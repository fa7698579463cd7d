"""JSON shapes of service accounts."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from comanda.auth.domain_clientes import ALCANCES_DE_SERVICIO, CuentaDeServicio
from comanda.common.requests import Body, Boolean, Line


def _alcance(texto: str) -> str:
    if texto not in ALCANCES_DE_SERVICIO:
        raise PydanticCustomError(
            "texto", "Una cuenta de servicio solo puede tener: {permitidos}.", {"permitidos": _PERMITIDOS}
        )
    return texto


_PERMITIDOS = ", ".join(ALCANCES_DE_SERVICIO)

Nombre = Annotated[Line, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Alcance = Annotated[str, AfterValidator(_alcance), Field(json_schema_extra={"enum": [*ALCANCES_DE_SERVICIO]})]
Alcances = Annotated[list[Alcance], Field(min_length=1, max_length=len(ALCANCES_DE_SERVICIO))]


def en_orden(alcances: list[str]) -> tuple[str, ...]:
    """Each once, and however they were sent the same: scopes are a set."""
    return tuple(alcance for alcance in ALCANCES_DE_SERVICIO if alcance in alcances)


class ClienteNuevo(Body):
    nombre: Nombre
    alcances: Alcances


class ClienteCambios(Body):
    """A JSON Merge Patch (RFC 7396): what is absent stays; nothing can be removed."""

    nombre: Nombre | None = None
    alcances: Alcances | None = None

    @model_validator(mode="after")
    def _nothing_can_be_removed(self) -> "ClienteCambios":
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise PydanticCustomError("texto", "Ni nombre ni alcances se pueden quitar.")
        return self

    def cambios(self) -> dict[str, Any]:
        """The changes in the domain's words."""
        cambios = self.model_dump(exclude_unset=True)
        return cambios | ({"alcances": en_orden(cambios["alcances"])} if "alcances" in cambios else {})


class SecretoNuevo(Body):
    inmediato: Annotated[Boolean, Field(description="el secreto anterior deja de valer ya")] = False


class ClienteDocumento(BaseModel):
    id: Annotated[UUID, Field(description="its `client_id`")]
    nombre: str
    alcances: list[str]
    activo: bool
    creado_en: AwareDatetime
    ultimo_uso: Annotated[AwareDatetime | None, Field(description="to the minute; does not change the ETag")]

    @classmethod
    def de(cls, cuenta: CuentaDeServicio) -> "ClienteDocumento":
        return cls.model_construct(**_fields(cuenta))


class ClienteConSecreto(ClienteDocumento):
    """A new account. This is the only time that its secret is shown."""

    client_secret: str

    @classmethod
    def con(cls, cuenta: CuentaDeServicio, secreto: str) -> "ClienteConSecreto":
        return cls.model_construct(**_fields(cuenta), client_secret=secreto)


class SecretoDocumento(BaseModel):
    """A new secret. This is the only time that it is shown."""

    client_secret: str


class TokenDeServicioDocumento(BaseModel):
    """RFC 6749 §4.4.3."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a kind of token, not one
    expires_in: int
    scope: str


def _fields(cuenta: CuentaDeServicio) -> dict[str, Any]:
    return {name: getattr(cuenta, name) for name in ClienteDocumento.model_fields} | {"alcances": [*cuenta.alcances]}
