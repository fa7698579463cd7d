"""What has ended, on the wire."""

from uuid import UUID

from pydantic import BaseModel, Field


class TerminadasDocumento(BaseModel):
    terminadas: list[UUID] = Field(description="ids de sesiones (`sid`) y de cuentas de servicio (`sub`)")
