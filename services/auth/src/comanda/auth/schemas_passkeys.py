"""JSON shapes of passkeys. What the browser has as bytes is base64url without padding."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from comanda.auth.ceremonias import Alta, Asercion
from comanda.auth.domain_passkeys import CREDENCIAL_MAX, NOMBRE_MAX, Passkey
from comanda.auth.schemas_totp import Codigo, Password
from comanda.common.requests import Body, Line

BASE64URL = r"^[A-Za-z0-9_-]+$"

CredencialId = Annotated[Line, Field(pattern=BASE64URL, max_length=(CREDENCIAL_MAX * 4 + 2) // 3)]
Bytes = Annotated[Line, Field(pattern=BASE64URL, max_length=8192)]


class PasskeyOpciones(Body):
    password: Password
    codigo: Codigo | None = None


class CredencialNueva(Body):
    """A `PublicKeyCredential` with an `AuthenticatorAttestationResponse`."""

    id: CredencialId
    client_data_json: Bytes
    attestation_object: Bytes


class PasskeyNueva(Body):
    nombre: Annotated[Line, Field(max_length=NOMBRE_MAX, pattern=r"^\S(.*\S)?$")]
    credencial: CredencialNueva

    @property
    def alta(self) -> Alta:
        return Alta(**self.credencial.model_dump())


class CredencialUsada(Body):
    """A `PublicKeyCredential` with an `AuthenticatorAssertionResponse`."""

    id: CredencialId
    client_data_json: Bytes
    authenticator_data: Bytes
    signature: Bytes
    user_handle: Annotated[Line, Field(pattern=BASE64URL, max_length=86)]


class SesionConPasskey(Body):
    credencial: CredencialUsada

    @property
    def asercion(self) -> Asercion:
        return Asercion(**self.credencial.model_dump())


class OpcionesDocumento(BaseModel):
    """The argument of `navigator.credentials.create` or `.get`, as `parseCreationOptionsFromJSON` or
    `parseRequestOptionsFromJSON` read it (WebAuthn level 3, §5.1.8 and §5.1.9)."""

    public_key: dict[str, Any] = Field(serialization_alias="publicKey")


class PasskeyDocumento(BaseModel):
    id: UUID
    nombre: str
    creada_en: AwareDatetime
    usada_en: AwareDatetime | None

    @classmethod
    def de(cls, passkey: Passkey) -> "PasskeyDocumento":
        return cls.model_construct(**{name: getattr(passkey, name) for name in cls.model_fields})


class PasskeysDocumento(BaseModel):
    """The oldest first."""

    elementos: list[PasskeyDocumento]
