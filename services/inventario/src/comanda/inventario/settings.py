"""What inventario can be told through its environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from comanda.common.settings import CallerSettings, Seconds, default_database


class Settings(CallerSettings):
    model_config = SettingsConfigDict(env_prefix="INVENTARIO_")

    port: int = Field(8002, ge=0, le=65535, description="port to listen on")
    database_url: str = Field(default_factory=default_database("inventario"), description="where the stock is kept")
    productos_url: str = Field("http://127.0.0.1:8001", description="address of productos")
    pedidos_jwks: str = Field("", description="key set of pedidos: file, URL or JSON; default: in COMANDA_DATA")
    reserva_ttl_seconds: Seconds = Field(900, description="how long a reservation holds stock before it expires")
    sweep_seconds: Seconds = Field(1, description="pause between two sweeps for expired reservations")
