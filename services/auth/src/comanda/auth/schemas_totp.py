"""JSON shapes of the second factor."""

from typing import Annotated

from pydantic import BaseModel, Field

from comanda.common.requests import Body, Line

Codigo = Annotated[
    Line, Field(min_length=1, max_length=40, description="of the authenticator app, or one of the recovery codes")
]
CodigoDeApp = Annotated[Line, Field(min_length=1, max_length=40, description="six digits of the authenticator app")]
Password = Annotated[str, Field(json_schema_extra={"format": "password"})]


class TotpNuevo(Body):
    password: Password


class TotpConfirmacion(Body):
    codigo: CodigoDeApp


class TotpBaja(Body):
    password: Password
    codigo: Codigo


class CodigosNuevos(Body):
    codigo: Codigo


class TotpDocumento(BaseModel):
    activo: bool
    codigos_restantes: int


class TotpPreparado(BaseModel):
    secreto: str
    """Base32 (RFC 4648 §6), as a person types it into the app."""
    uri: str
    """`otpauth:`, as the app reads it from a QR code."""


class CodigosDocumento(BaseModel):
    """Shown once; each is good for one use."""

    codigos_recuperacion: list[str]
