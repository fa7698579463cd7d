"""What productos can be told through its environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from comanda.common.settings import VerifierSettings, default_database


class Settings(VerifierSettings):
    model_config = SettingsConfigDict(env_prefix="PRODUCTOS_")

    port: int = Field(8001, ge=0, le=65535, description="port to listen on")
    database_url: str = Field(default_factory=default_database("productos"), description="where the catalogue is kept")
    moneda: str = Field("EUR", pattern=r"^[A-Z]{3}$", description="currency of every price, ISO 4217, two decimals")
    pedidos_jwks: str = Field("", description="key set of pedidos: file, URL or JSON; default: in COMANDA_DATA")
    inventario_jwks: str = Field("", description="key set of inventario: file, URL or JSON; default: in COMANDA_DATA")
