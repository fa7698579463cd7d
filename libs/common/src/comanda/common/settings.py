"""Environment → frozen settings, checked at start (the twelve-factor app, III)."""

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from comanda.common.files import is_exposed

_HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9a-fA-F:.]+\]")
_ORIGIN = re.compile(r"\*|https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
Seconds = Annotated[float, Field(gt=0, le=86_400)]
JWKS_PATH = "/.well-known/jwks.json"


def data_folder() -> Path:
    """Where files are kept when no setting says otherwise: `COMANDA_DATA`, default `.data`."""
    return Path(os.environ.get("COMANDA_DATA", ".data"))


def default_database(service: str) -> Callable[[], str]:
    """A factory for the URL of the service's SQLite file in `data_folder()`."""
    return lambda: f"sqlite:///{data_folder() / service}.db"


class ServiceSettings(BaseSettings):
    """What every service can be told. A service subclasses it, names its prefix and adds its own.

    Each field is read from `<SERVICIO>_<FIELD>`; durations are seconds.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, env_prefix="COMANDA_")

    environment: Literal["development", "production"] = Field(
        "development", description="production refuses to start with what is not safe there"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(ge=0, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=64, description="processes that serve; more than 1 needs PostgreSQL")
    database_url: str = Field(description="sqlite:///path or postgresql://user:password@host:port/name")
    database_pool: int = Field(10, ge=1, le=100, description="connections to PostgreSQL per process")
    migrate_on_start: bool = Field(True, description="false: the service waits until somebody else has migrated")

    trusted_proxies: str = Field(
        "", description="addresses or networks whose X-Forwarded-For counts, separated by commas"
    )
    allowed_hosts: str = Field(
        "",
        description="names that it may be called by besides localhost and its HOST, with commas; .name: and below; *",
    )
    cors_origins: str = Field("", description="origins whose pages may call it, separated by commas; none by default")

    max_body_bytes: int = Field(1_048_576, ge=1024, description="largest request body, bytes")
    body_timeout_seconds: Seconds = Field(10, description="longest time to receive a body")
    max_header_bytes: int = Field(32_768, ge=1024, description="largest request head: line and headers, bytes")
    header_timeout_seconds: Seconds = Field(10, description="longest time to receive the head of a request")
    max_connections: int = Field(2000, ge=1, description="open connections per process; more get 503")
    max_concurrency: int = Field(1000, ge=1, description="requests in hand at once; more get 503")
    max_ordinary: int = Field(256, ge=1, description="of these, all but those that end an order, and reads")
    max_reads: int = Field(200, ge=1, description="of these, lists and reads of the catalogue")
    request_timeout_seconds: Seconds = Field(
        40, description="longest time that an answer is waited for; work is not begun later; clients may shorten it"
    )
    shutdown_seconds: int = Field(20, ge=1, description="time that running requests get to finish on SIGTERM")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, else JSON")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe level logged")

    breaker_fail_max: int = Field(5, ge=1, description="consecutive failures that open the circuit to a neighbour")
    breaker_timeout_seconds: Seconds = Field(60, description="how long an open circuit refuses before it probes")
    retry_attempts: int = Field(3, ge=0, le=10, description="retries after the first try of a call")
    retry_wait_seconds: float = Field(2, ge=0, le=60, description="wait between two tries")
    retry_budget_percent: float = Field(20, ge=0, le=100, description="retries for each hundred calls, when many fail")
    http_timeout_seconds: Seconds = Field(3, description="limit of one try of a call to a neighbour")

    auth_issuer: str = Field("http://127.0.0.1:8000", description="issuer (iss) of the users' tokens")
    auth_jwks: str = Field("", description="its key set: URL, file or JSON; default: issuer + /.well-known/jwks.json")
    jwks_cache: Path | None = Field(None, description="file that keeps the last good key set; default: in COMANDA_DATA")
    operador_jwks: str = Field("", description="key set of the operator (comanda verify): file, URL or JSON")
    audit_retention_days: int = Field(
        365, ge=0, le=36_500, description="age at which lines of the audit log are removed; 0: never"
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        try:
            backend = make_url(url).get_backend_name()
        except (ArgumentError, ValueError):
            backend = ""
        if backend not in ("sqlite", "postgresql"):
            raise ValueError("debe ser sqlite:///ruta o postgresql://usuario:clave@host:puerto/nombre")
        return url

    @model_validator(mode="after")
    def _trust_whom_it_names(self) -> Self:
        """uvicorn takes what it cannot parse for a name that nobody has, and from `*` whatever a client claims."""
        variable = self.variable("trusted_proxies")
        for proxy in filter(None, map(str.strip, self.trusted_proxies.split(","))):
            if proxy == "*":
                if self.production:
                    raise ValueError(f"{variable}: con «*» cualquiera podría decir que viene de otra dirección")
                continue
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError(
                    f"{variable}: «{proxy}» no es una dirección ni una red (10.0.0.1, 10.0.0.0/8, fd00::/8)"
                ) from None
        return self

    @model_validator(mode="after")
    def _one_writer_on_sqlite(self) -> Self:
        if self.workers > 1 and self.database_url.startswith("sqlite"):
            workers, url = self.variable("workers"), self.variable("database_url")
            raise ValueError(f"{workers}: más de un proceso necesita PostgreSQL ({url}=postgresql://…)")
        return self

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names(cls, names: str) -> str:
        for name in _split(names):
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(f"«{name}» no es un nombre: sin esquema ni puerto, como tienda.es, .tienda.es o *")
        return names

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        for origin in _split(origins):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"«{origin}» no es un origen: esquema, nombre y puerto, como https://tienda.es")
        return origins

    @model_validator(mode="after")
    def _closed_in_production(self) -> Self:
        if self.production and "*" in self.cors_origin_list:
            raise ValueError(f"{self.variable('cors_origins')}: en producción no vale *; nombre los orígenes")
        if self.production and self.listens_everywhere and not self.allowed_host_names:
            raise ValueError(
                f"{self.variable('allowed_hosts')}: en producción, y con {self.variable('host')}={self.host}, "
                "diga con qué nombres se llama al servicio (o *)"
            )
        return self

    @model_validator(mode="after")
    def _https_issuer_in_production(self) -> Self:
        require_https(self, "auth_issuer", self.auth_issuer)
        return self

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def listens_everywhere(self) -> bool:
        return self.host in ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on

    @property
    def allowed_host_names(self) -> list[str]:
        return _split(self.allowed_hosts)

    @property
    def cors_origin_list(self) -> list[str]:
        return _split(self.cors_origins)

    @property
    def round_seconds(self) -> float:
        """The longest that one full round of tries against a neighbour can take."""
        tries = self.retry_attempts + 1
        return tries * self.http_timeout_seconds + self.retry_attempts * self.retry_wait_seconds

    @property
    def auth_jwks_source(self) -> str:
        return self.auth_jwks or self.auth_issuer.rstrip("/") + JWKS_PATH

    @classmethod
    def variable(cls, field: str) -> str:
        """The name of the environment variable of a field."""
        return f"{cls.model_config.get('env_prefix')}{field}".upper()


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def require_https(settings: ServiceSettings, field: str, address: str) -> None:
    """Raises `ValueError` in production if clients and services would send their tokens in the clear."""
    if settings.production and not address.startswith("https://"):
        raise ValueError(f"{settings.variable(field)}: en producción debe ser https://…")


class VerifierSettings(ServiceSettings):
    """What a service that verifies the tokens of auth can be told besides."""

    auth_url: str = Field(
        "", description="address of auth, which is asked for ended sessions; default: where its key set is, if at a URL"
    )
    revocation_poll_seconds: float = Field(
        5, ge=0, le=3600, description="pause between two such questions; 0: none, tokens work until they expire"
    )
    signing_key: str = Field(
        "", description="file with the key that signs calls to neighbours; default: in COMANDA_DATA, made if absent"
    )

    @property
    def auth_address(self) -> str:
        """Where ended sessions are asked for; empty: nowhere."""
        source = self.auth_jwks_source
        if self.auth_url or not (source.startswith(("http://", "https://")) and source.endswith(JWKS_PATH)):
            return self.auth_url
        return source.removesuffix(JWKS_PATH)

    @property
    def signs(self) -> bool:
        """Whether it makes calls of its own."""
        return bool(self.auth_address and self.revocation_poll_seconds)

    @model_validator(mode="after")
    def _own_key_in_production(self) -> Self:
        if not self.signs:
            return self
        if self.production and not self.signing_key:
            raise ValueError(f"{self.variable('signing_key')}: en producción hace falta una clave propia")
        if self.production and not Path(self.signing_key).exists():
            raise ValueError(f"{self.variable('signing_key')}: no existe {self.signing_key}")
        if self.production and is_exposed(Path(self.signing_key)):
            raise ValueError(
                f"{self.variable('signing_key')}: otros pueden leer la clave; haga chmod 600 {self.signing_key}"
            )
        return self


class CallerSettings(VerifierSettings):
    """What a service that calls neighbours can be told besides."""

    group_commit: int = Field(
        200,
        ge=1,
        le=200,
        description="requests that may share a transaction, or a call to a neighbour, when they come at once; 1: none",
    )

    @property
    def signs(self) -> bool:
        return True


class InvalidSettings(Exception):
    """The environment holds a value that the service cannot start with; the message names each variable."""


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load(settings: type[SettingsT], **overrides: Any) -> SettingsT:
    """Reads the settings from the environment.

    Raises:
        InvalidSettings: with one line for each variable that is wrong, naming it.
    """
    try:
        return settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            field = str(item["loc"][0]) if item["loc"] else ""
            name = field if field.isupper() else settings.variable(field)  # an alias is a whole name
            lines.append((f"{name}: " if field else "") + item["msg"].removeprefix("Value error, "))
        raise InvalidSettings("\n".join(lines)) from None


def reference(settings: type[ServiceSettings]) -> str:
    """The variables of a service, one a line, for `--help` and the documentation."""
    rows = []
    for name, field in settings.model_fields.items():
        value = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        default = "" if value in ("", None) else f" [{value}]"
        rows.append(f"  {settings.variable(name):<38} {field.description or ''}{default}")
    return "\n".join(rows)
