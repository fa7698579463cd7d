"""What auth can be told through its environment."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from comanda.auth.correo import remitente
from comanda.auth.domain import es_email, normalizar_password
from comanda.auth.domain_password import PALABRA_MIN, objecion
from comanda.auth.envio import ServidorSmtp
from comanda.auth.filtradas import Filtradas
from comanda.auth.totp import Algoritmo
from comanda.common.settings import Seconds, ServiceSettings, default_database, require_https

MASTER_KEY_MIN = 32


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="AUTH_", populate_by_name=True)

    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    database_url: str = Field(default_factory=default_database("auth"), description="where users and keys are kept")
    issuer: str = Field(
        "http://127.0.0.1:8000", description="issuer (iss) of the users' tokens; where clients reach us"
    )
    auth_issuer: str = Field("", description="not used here: AUTH_ISSUER says it")

    master_key: SecretStr | None = Field(
        None, description="encrypts the signing keys, the same for all replicas; default: made and kept in COMANDA_DATA"
    )
    master_key_previous: SecretStr | None = Field(
        None, description="other master keys, separated by commas, which still open what was written under them"
    )
    admin_email: str = Field(
        "admin@comanda.local",
        validation_alias=AliasChoices("COMANDA_ADMIN_EMAIL", "AUTH_ADMIN_EMAIL"),
        description="the first admin, made when there is none (or COMANDA_ADMIN_EMAIL)",
    )
    admin_password: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("COMANDA_ADMIN_PASSWORD", "AUTH_ADMIN_PASSWORD"),
        description="its password (or COMANDA_ADMIN_PASSWORD); default: made, kept in COMANDA_DATA; none in production",
    )

    access_token_seconds: int = Field(900, ge=1, le=86_400, description="life of an access token")
    refresh_token_seconds: int = Field(
        2_592_000, ge=60, le=31_536_000, description="life of a session, from its login; refreshing does not prolong it"
    )
    session_idle_seconds: int = Field(
        604_800, ge=60, le=31_536_000, description="a session that was not refreshed for so long ends"
    )
    reauthentication_seconds: int = Field(
        600, ge=0, le=86_400, description="how long after its log-in a session may end others without the password"
    )
    key_rotation_days: int = Field(90, ge=0, le=3650, description="age at which a signing key is replaced; 0: never")
    key_announce_seconds: int = Field(
        600,
        ge=12,
        le=86_400,
        description="how long a new signing key is published before it signs; verifiers may take 12 s to learn of it",
    )
    sweep_seconds: Seconds = Field(60, description="pause between two sweeps of sessions that have ended")

    pedidos_jwks: str = Field("", description="key set of pedidos: file, URL or JSON; default: in COMANDA_DATA")
    inventario_jwks: str = Field("", description="key set of inventario: file, URL or JSON; default: in COMANDA_DATA")
    productos_jwks: str = Field("", description="key set of productos: file, URL or JSON; default: in COMANDA_DATA")

    admin_mfa_required: bool = Field(
        False, description="an admin who logs in without a second factor gets the scopes of a client only"
    )
    mfa_required: bool = Field(
        False, description="anybody who logs in without a second factor gets no scope: enough to set one up"
    )
    totp_algorithm: Algoritmo = Field(
        "SHA1", description="hash of second factors set up from now on: SHA256, or SHA1, which every app knows"
    )
    totp_tolerance_steps: int = Field(
        1, ge=0, le=1, description="codes of so many steps of 30 s before and after the present one are right"
    )

    context_words: str = Field(
        "", description="words that a password must not rest on, with commas: the shop's name, what it sells"
    )
    breached_passwords_file: Path | None = Field(
        None, description="list of Have I Been Pwned, as its downloader writes it into one file (lines SHA1:times)"
    )
    password_grant: bool = Field(
        True, description="whether POST /auth/token takes passwords; false: people log in at /auth/sesion alone"
    )

    argon2_time_cost: int = Field(2, ge=1, le=100, description="passes of Argon2id")
    argon2_memory_kib: int = Field(
        19_456, ge=8, le=4_194_304, description="memory of one Argon2id hash, KiB (OWASP: 19 MiB, 2 passes, 1 lane)"
    )
    argon2_parallelism: int = Field(1, ge=1, le=64, description="lanes of Argon2id")
    hash_workers: int = Field(2, ge=1, le=64, description="passwords hashed at once")
    hash_queue: int = Field(256, ge=0, le=10_000, description="passwords waiting to be hashed; more get 503")
    hash_wait_seconds: Seconds = Field(
        2, description="who would wait longer for a hash gets 503; unknown addresses twice that"
    )

    login_attempts: int = Field(
        10,
        ge=1,
        validation_alias=AliasChoices("AUTH_LOGIN_ATTEMPTS", "AUTH_LOGIN_ATTEMPTS_PER_MINUTE"),
        description="failed logins of one account from one address before each further one costs twice the wait",
    )
    login_attempts_per_account_per_hour: int = Field(
        100, ge=1, description="failed logins of one account from all addresses where it never succeeded"
    )
    login_attempts_per_source_per_minute: int = Field(300, ge=1, description="failed logins from one address")
    registrations_per_source_per_minute: int = Field(600, ge=1, description="registrations from one address")
    known_source_days: int = Field(
        30, ge=1, le=365, description="how long an address counts as known after a login of the account from it"
    )

    smtp_url: SecretStr | None = Field(
        None,
        description="who takes our mail: smtp://user:password@host:587 (STARTTLS), smtps://…, smtp+insecure://host:25; "
        "default: files in COMANDA_DATA/correo, in production no mail",
    )
    mail_from: str = Field("", description="sender of our mail: Tienda <no-responder@tienda.es>")
    public_url: str = Field(
        "", description="where the pages are that the links in mails lead to; default: the issuer's address"
    )
    mail_seconds: Seconds = Field(2, description="pause between two looks for mails that wait to be sent")
    mails_per_address_per_hour: int = Field(3, ge=1, description="links of one kind mailed to one address")
    forgotten_passwords_per_source_per_minute: int = Field(
        60, ge=1, description="links for a forgotten password asked for from one address"
    )
    reset_link_seconds: int = Field(1800, ge=60, le=86_400, description="life of a link that sets a password")
    verification_link_seconds: int = Field(
        86_400, ge=60, le=2_592_000, description="life of a link that verifies an address"
    )

    @property
    def tienda(self) -> str:
        """Where the pages are that people see."""
        return self.public_url or self.issuer

    @model_validator(mode="after")
    def _complete(self) -> Self:
        object.__setattr__(self, "auth_issuer", self.issuer)  # what common calls the issuer of users' tokens
        return self

    @model_validator(mode="after")
    def _https_issuer_in_production(self) -> Self:  # in place of the common one, which looks at auth_issuer
        require_https(self, "issuer", self.issuer)
        return self

    @model_validator(mode="after")
    def _idle_later_than_the_access_token(self) -> Self:
        if self.session_idle_seconds < self.access_token_seconds:
            raise ValueError(
                f"AUTH_SESSION_IDLE_SECONDS={self.session_idle_seconds}: debe ser {self.access_token_seconds} o más, "
                "lo que vale un token de acceso (AUTH_ACCESS_TOKEN_SECONDS); si no, acabaría una sesión en uso"
            )
        return self

    @model_validator(mode="after")
    def _own_master_key_in_production(self) -> Self:
        key = self.master_key.get_secret_value() if self.master_key else ""
        if self.production and len(key) < MASTER_KEY_MIN:
            raise ValueError(f"AUTH_MASTER_KEY: production needs one of at least {MASTER_KEY_MIN} random characters")
        return self

    @field_validator("context_words")
    @classmethod
    def _words_that_count(cls, words: str) -> str:
        for word in map(str.strip, words.split(",")):
            if word and len(word) < PALABRA_MIN:
                raise ValueError(f"«{word}» tiene menos de {PALABRA_MIN} letras: saldría en cualquier frase")
        return words

    @field_validator("breached_passwords_file")
    @classmethod
    def _readable_list(cls, path: Path | None) -> Path | None:
        try:
            if path:
                Filtradas(path).comprobar()
        except OSError as error:
            raise ValueError(f"{path} no se puede leer: {error.strerror}") from None
        return path

    @model_validator(mode="after")
    def _usable_admin(self) -> Self:
        if not es_email(self.admin_email):
            raise ValueError("COMANDA_ADMIN_EMAIL: no es un email válido")
        if self.admin_password:
            password = normalizar_password(self.admin_password.get_secret_value())
            reason = objecion(password, self.admin_email)
            if reason:
                raise ValueError(f"COMANDA_ADMIN_PASSWORD: {reason}")
        return self

    @model_validator(mode="after")
    def _usable_mail(self) -> Self:
        try:
            variable = "AUTH_PUBLIC_URL"
            if urlsplit(self.tienda).scheme not in ("http", "https") or not urlsplit(self.tienda).hostname:
                raise ValueError("debe ser http:// o https://…")
            variable = "AUTH_SMTP_URL"
            if self.smtp_url:
                ServidorSmtp.de(self.smtp_url.get_secret_value())
            variable = "AUTH_MAIL_FROM"
            if self.smtp_url or self.mail_from:
                remitente(self.mail_from)
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None
        return self
