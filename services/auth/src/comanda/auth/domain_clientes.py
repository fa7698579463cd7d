"""Service accounts: programs that call without a user, what they may be granted, and the secrets that prove them."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from comanda.auth.domain import ALCANCES
from comanda.common.problems import Problem

ALCANCES_DE_SERVICIO = tuple(alcance for alcance in ALCANCES["admin"] if alcance != "usuarios:gestionar")
"""What a service account may be granted: not to manage users, for a stolen secret must not make administrators."""

SOLAPE = timedelta(hours=24)
"""How long a replaced secret goes on working, for an integration to change over without a pause."""

SECRETOS_MAX = 10
"""Secrets of one account that work at the same time."""

USO_CADA = timedelta(minutes=1)
"""How exact the last use of an account is; a token asked for within this of the one before writes nothing."""


@dataclass(frozen=True, slots=True)
class CuentaDeServicio:
    """A confidential client (RFC 6749 §2.1), whose id is its `client_id`. Revoked, it stays on record for ever."""

    id: UUID
    nombre: str
    alcances: tuple[str, ...]
    activo: bool
    version: int
    creado_en: datetime
    ultimo_uso: datetime | None
    """When it last got a token, as exact as `USO_CADA`. No part of the version: it changes at each use."""

    def exigir_activa(self) -> None:
        """Raises `ClienteRevocado`."""
        if not self.activo:
            raise ClienteRevocado("La cuenta de servicio está revocada para siempre: cree otra.")

    def modificar(self, cambios: Mapping[str, Any]) -> "CuentaDeServicio":
        """The account with those fields changed: a new version, unless nothing is different."""
        modificada = replace(self, **cambios)
        return self if modificada == self else replace(modificada, version=self.version + 1)

    def falta_anotar(self, ahora: datetime) -> bool:
        """Whether this use is to be recorded."""
        return self.ultimo_uso is None or ahora - self.ultimo_uso >= USO_CADA


@dataclass(frozen=True, slots=True)
class Secreto:
    """What is kept of a secret: its SHA-256. It has 256 random bits, so no slow hash is needed against guessing."""

    cuenta_id: UUID
    huella: str = field(repr=False)
    creado_en: datetime
    caduca_en: datetime | None
    """None: it is the current one."""


class ClienteRevocado(Problem):
    """The service account was revoked, which is final: make a new one."""

    status, slug, title = 409, "cliente-revocado", "La cuenta de servicio está revocada"


class DemasiadosSecretos(Problem):
    """The secret was replaced too often within the overlap: wait, or end the previous ones with `inmediato`."""

    status, slug, title = 409, "demasiados-secretos", "La cuenta de servicio tiene demasiados secretos en uso"


_DE_NADIE = "0" * 64


def reconocer(secretos: Collection[Secreto], huella: str) -> Secreto | None:
    """The one of them that has this hash. It takes as long whichever it is, and one comparison if there is none."""
    encontrado = None
    for secreto in secretos:
        if hmac.compare_digest(secreto.huella, huella):
            encontrado = secreto
    if not secretos:
        hmac.compare_digest(_DE_NADIE, huella)
    return encontrado
