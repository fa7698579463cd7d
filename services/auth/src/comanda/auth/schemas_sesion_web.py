"""JSON shapes of the sessions that a browser keeps in a cookie."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from comanda.auth.mfa_tokens import MAX_CHARS
from comanda.auth.schemas import Email
from comanda.auth.schemas_totp import CodigoDeApp, Password
from comanda.common.requests import Body, Line

MfaToken = Annotated[Line, Field(max_length=MAX_CHARS, description="what came with `segundo-factor-requerido`")]
CodigoDeRecuperacion = Annotated[Line, Field(min_length=1, max_length=40, description="one of the recovery codes")]

_FORMS = ({"email", "password"}, {"mfa_token", "codigo"}, {"mfa_token", "codigo_de_recuperacion"})


class SesionNueva(Body):
    """The first step has `email` and `password`; the second `mfa_token` and one of the codes."""

    email: Email | None = None
    password: Password | None = None
    mfa_token: MfaToken | None = None
    codigo: CodigoDeApp | None = None
    codigo_de_recuperacion: CodigoDeRecuperacion | None = None

    @model_validator(mode="after")
    def _one_step(self) -> "SesionNueva":
        if {name for name, value in self if value is not None} not in _FORMS:
            raise PydanticCustomError(
                "texto", "Envíe email y password, o bien mfa_token con codigo o con codigo_de_recuperacion."
            )
        return self


class SesionWebDocumento(BaseModel):
    """As the token endpoint answers (RFC 6749 §5.1), but for the refresh token: that is in the cookie."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a kind of token, not one
    expires_in: int
    scope: str
