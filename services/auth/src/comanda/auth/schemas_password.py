"""JSON shapes of forgotten passwords and verified addresses."""

from typing import Annotated

from pydantic import Field

from comanda.auth.schemas import Email, PasswordNuevo
from comanda.common.requests import Body

Token = Annotated[str, Field(max_length=200, description="what stands behind `#token=` in the link of the mail")]


class PasswordOlvidada(Body):
    email: Email


class PasswordRestablecida(Body):
    token: Token
    nueva: PasswordNuevo


class EmailVerificado(Body):
    token: Token
