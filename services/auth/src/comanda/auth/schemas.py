"""JSON shapes of auth."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from comanda.auth.domain import EMAIL_MAX, PASSWORD_MAX, PASSWORD_MIN, Familia, Rol, Usuario, es_email
from comanda.auth.domain import normalizar_password as normalizar
from comanda.auth.domain_password import objecion_de_longitud
from comanda.auth.schemas_totp import Codigo
from comanda.common.requests import Body, Boolean, Line


def _email(texto: str) -> str:
    if not es_email(texto):
        raise PydanticCustomError("email", "No es un email válido.")
    return texto


def _password(password: str) -> str:
    """What else a new one must be is for `Politica` to say: that takes reading."""
    password = normalizar(password)
    motivo = objecion_de_longitud(password)
    if motivo:
        raise PydanticCustomError("contrasena", motivo)
    return password


Email = Annotated[str, Field(max_length=EMAIL_MAX, json_schema_extra={"format": "email"}), AfterValidator(_email)]
Nombre = Annotated[Line, Field(max_length=200, pattern=r"^(\S(.*\S)?)?$")]
PasswordNuevo = Annotated[
    str,
    AfterValidator(_password),
    Field(json_schema_extra={"format": "password", "minLength": PASSWORD_MIN, "maxLength": PASSWORD_MAX}),
]


class UsuarioNuevo(Body):
    email: Email
    password: PasswordNuevo
    nombre: Nombre = ""


class YoCambios(Body):
    nombre: Nombre


class PasswordCambio(Body):
    actual: Annotated[str, Field(json_schema_extra={"format": "password"})]
    nueva: PasswordNuevo
    codigo: Codigo | None = None


class UsuarioCambios(Body):
    """A JSON Merge Patch (RFC 7396): what is absent stays; nothing can be removed."""

    rol: Rol | None = None
    activo: Boolean | None = None

    @model_validator(mode="after")
    def _nothing_can_be_removed(self) -> "UsuarioCambios":
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise PydanticCustomError("texto", "Ni rol ni activo se pueden quitar.")
        return self

    def cambios(self) -> dict[str, Any]:
        """The changes in the domain's words."""
        return self.model_dump(exclude_unset=True)


class UsuarioDocumento(BaseModel):
    id: UUID
    email: str
    nombre: str
    rol: Rol
    creado_en: AwareDatetime
    email_verificado: bool

    @classmethod
    def de(cls, usuario: Usuario) -> "UsuarioDocumento":
        return cls.model_construct(**{name: getattr(usuario, name) for name in cls.model_fields})


class UsuarioGestionado(UsuarioDocumento):
    """A user as administrators see them."""

    activo: bool
    actualizado_en: AwareDatetime

    @classmethod
    def de(cls, usuario: Usuario) -> "UsuarioGestionado":
        return cls.model_construct(**{name: getattr(usuario, name) for name in cls.model_fields})


class SesionDocumento(BaseModel):
    """A session as its owner sees it."""

    id: UUID
    dispositivo: str = Field(description="the `User-Agent` of the login")
    actual: bool = Field(description="it is the one that asks")
    creada_en: AwareDatetime
    usada_en: AwareDatetime = Field(description="when it was last refreshed")
    expira_en: AwareDatetime

    @classmethod
    def de(cls, sesion: Familia, actual: str | None) -> "SesionDocumento":
        """Args: actual: the `sid` of the token that asks."""
        return cls.model_construct(
            id=sesion.id,
            dispositivo=sesion.dispositivo,
            actual=str(sesion.id) == actual,
            creada_en=sesion.creada_en,
            usada_en=sesion.rotada_en,
            expira_en=sesion.expira_en,
        )


class TokenDocumento(BaseModel):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a kind of token, not one
    expires_in: int
    refresh_token: str
    scope: str


class ConjuntoDeClaves(BaseModel):
    """RFC 7517 §5."""

    keys: list[dict[str, str]]


class Metadatos(BaseModel):
    """RFC 8414 §2."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: list[str] = []
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str] = ["none", "client_secret_basic", "client_secret_post"]
    revocation_endpoint_auth_methods_supported: list[str] = ["none"]
