"""JSON shapes of ending one's own sessions."""

from uuid import UUID

from pydantic import Field

from comanda.auth.schemas_totp import Password
from comanda.common.requests import Body


class SesionesTerminadas(Body):
    password: Password
    sesion: UUID | None = Field(None, description="cuál; si falta, todas menos esta")
