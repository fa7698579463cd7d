"""What pedidos can be told through its environment."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from comanda.common.settings import CallerSettings, Seconds, default_database


class Settings(CallerSettings):
    model_config = SettingsConfigDict(env_prefix="PEDIDOS_")

    port: int = Field(8003, ge=0, le=65535, description="port to listen on")
    database_url: str = Field(default_factory=default_database("pedidos"), description="where the orders are kept")
    productos_url: str = Field("http://127.0.0.1:8001", description="address of productos")
    inventario_url: str = Field("http://127.0.0.1:8002", description="address of inventario")
    abandon_seconds: Seconds = Field(300, description="an order that could not reserve is cancelled after this time")
    max_open_orders: int = Field(0, ge=0, description="PENDIENTE orders of one client; 0: no limit (not in production)")
    max_open_units: int = Field(0, ge=0, description="units in those orders; 0: no limit (not in production)")
    price_reuse_seconds: float = Field(
        0, ge=0, le=3600, description="how long names and prices may be used again without asking productos; 0: never"
    )
    recovery_seconds: Seconds = Field(1, description="pause between two looks for orders that stand still")
    recovery_backoff_seconds: Seconds = Field(30, description="longest pause between two tries to move one order on")

    max_streams: int = Field(1000, ge=1, description="open streams of events per process; more get 503")
    max_streams_per_user: int = Field(5, ge=1, description="of those, of one user; more get 429")
    stream_heartbeat_seconds: Seconds = Field(15, description="longest silence on a stream of events")
    stream_poll_seconds: Seconds = Field(0.5, description="how often a process looks for new events for its streams")

    @property
    def lease_seconds(self) -> float:
        """How long one worker may need for one order: a full round of tries, and room for the database."""
        return self.round_seconds + 10

    @model_validator(mode="after")
    def _abandons_late_enough(self) -> Self:
        least = self.breaker_timeout_seconds + self.round_seconds
        if self.abandon_seconds < least:
            raise ValueError(
                f"{self.variable('abandon_seconds')}={self.abandon_seconds:g} es menor que el tiempo del circuito más "
                f"una ronda de reintentos: debe ser {least:g} o más"
            )
        return self

    @model_validator(mode="after")
    def _caps_in_production(self) -> Self:
        if self.production and not (self.max_open_orders and self.max_open_units):
            raise ValueError(
                f"en producción hacen falta {self.variable('max_open_orders')} y {self.variable('max_open_units')}"
            )
        return self
