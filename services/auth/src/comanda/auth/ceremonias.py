"""The two ceremonies of WebAuthn, by the library of that name: what is asked, and whether the answer is right.

Attestation is not asked for, so that people use whatever authenticator they have; user verification (PIN, finger, face)
always is, so that a passkey is two factors.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_attestation_object, parse_client_data_json
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from comanda.auth.domain import Usuario
from comanda.auth.domain_passkeys import CREDENCIAL_MAX, LLAVE_MAX, Passkey
from comanda.auth.retos import RETO_SECONDS

_FORMATS = (AttestationFormat.NONE, AttestationFormat.PACKED)
"""What may come unasked: nothing, or the authenticator's signature with the key itself (WebAuthn §5.1.3)."""

_LOCALHOST = "localhost"


class RespuestaIncorrecta(Exception):
    """It is not what an authenticator says to our challenge for our pages."""


@dataclass(frozen=True, slots=True)
class Sitio:
    """What passkeys are bound to: they are of no use to a page that is elsewhere."""

    rp_id: str
    origenes: list[str]


@dataclass(frozen=True, slots=True)
class Alta:
    """What `navigator.credentials.create` gave, each part in base64url."""

    id: str
    client_data_json: str
    attestation_object: str


@dataclass(frozen=True, slots=True)
class Asercion:
    """What `navigator.credentials.get` gave, each part in base64url."""

    id: str
    client_data_json: str
    authenticator_data: str
    signature: str
    user_handle: str


@dataclass(frozen=True, slots=True)
class Registrada:
    credencial: bytes
    llave_publica: bytes
    contador: int


def sitio(tienda: str, origenes: Iterable[str], host: str) -> Sitio:
    """Args:
    tienda: the public address; its host is what passkeys are bound to, for ever. No IP address can be that (WebAuthn
        §5.1.3): one of this machine counts as `localhost`.
    origenes: where our pages are besides.
    host: header `Host`, which is ours too on this machine, on whatever port.
    """
    rp_id = urlsplit(tienda).hostname or ""
    if _is_loopback(rp_id):
        rp_id = _LOCALHOST
    pages = [_origin(address) for address in (tienda, *origenes)]
    if rp_id == _LOCALHOST and urlsplit(f"//{host}").hostname == _LOCALHOST:
        pages.append(f"http://{host.lower()}")
    return Sitio(rp_id, pages)


def pedir_alta(sitio: Sitio, usuario: Usuario, reto: bytes, existentes: Iterable[Passkey]) -> dict[str, Any]:
    """`PublicKeyCredentialCreationOptionsJSON` (WebAuthn §5.4)."""
    options = webauthn.generate_registration_options(
        rp_id=sitio.rp_id,
        rp_name="Comanda",
        user_id=usuario.id.bytes,
        user_name=usuario.email,
        user_display_name=usuario.nombre or usuario.email,
        challenge=reto,
        timeout=RETO_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(passkey.credencial) for passkey in existentes],
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def pedir_asercion(sitio: Sitio, reto: bytes) -> dict[str, Any]:
    """`PublicKeyCredentialRequestOptionsJSON` (WebAuthn §5.5): nobody is named, the browser knows whose it has."""
    options = webauthn.generate_authentication_options(
        rp_id=sitio.rp_id,
        challenge=reto,
        timeout=RETO_SECONDS * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def reto_de(client_data_json: str) -> bytes:
    """The challenge that the browser says it has answered. Raises `RespuestaIncorrecta`."""
    try:
        return parse_client_data_json(base64url_to_bytes(client_data_json)).challenge
    except Exception as error:  # see comprobar_alta
        raise RespuestaIncorrecta from error


def comprobar_alta(alta: Alta, sitio: Sitio, reto: bytes) -> Registrada:
    """Raises `RespuestaIncorrecta` (WebAuthn §7.1)."""
    try:
        if parse_attestation_object(base64url_to_bytes(alta.attestation_object)).fmt not in _FORMATS:
            raise RespuestaIncorrecta
        response = {"clientDataJSON": alta.client_data_json, "attestationObject": alta.attestation_object}
        verified = webauthn.verify_registration_response(
            credential=_credential(alta.id, response),
            expected_challenge=reto,
            expected_rp_id=sitio.rp_id,
            expected_origin=sitio.origenes,
            require_user_verification=True,
        )
    except Exception as error:  # of hostile bytes the library makes exceptions of every kind
        raise RespuestaIncorrecta from error
    credencial, llave = verified.credential_id, verified.credential_public_key
    if bytes_to_base64url(credencial) != alta.id or len(credencial) > CREDENCIAL_MAX or len(llave) > LLAVE_MAX:
        raise RespuestaIncorrecta
    return Registrada(credencial, llave, verified.sign_count)


def comprobar_asercion(asercion: Asercion, passkey: Passkey, sitio: Sitio, reto: bytes) -> int:
    """The authenticator's count of its uses, which `Passkey.usar` judges. Raises `RespuestaIncorrecta` (§7.2)."""
    response = {
        "clientDataJSON": asercion.client_data_json,
        "authenticatorData": asercion.authenticator_data,
        "signature": asercion.signature,
        "userHandle": asercion.user_handle,
    }
    try:
        if base64url_to_bytes(asercion.user_handle) != passkey.usuario_id.bytes:
            raise RespuestaIncorrecta
        verified = webauthn.verify_authentication_response(
            credential=_credential(asercion.id, response),
            expected_challenge=reto,
            expected_rp_id=sitio.rp_id,
            expected_origin=sitio.origenes,
            credential_public_key=passkey.llave_publica,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # see comprobar_alta
        raise RespuestaIncorrecta from error
    return verified.new_sign_count


def credencial_de(asercion: Asercion) -> bytes:
    """The id of the passkey. Raises `RespuestaIncorrecta`."""
    try:
        return base64url_to_bytes(asercion.id)
    except ValueError:
        raise RespuestaIncorrecta from None


def _credential(credential_id: str, response: dict[str, str]) -> dict[str, Any]:
    return {"id": credential_id, "rawId": credential_id, "type": "public-key", "response": response}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(address: str) -> str:
    """As browsers write it: without path, and without the port that is usual (RFC 6454 §6.2)."""
    parts = urlsplit(address)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"
