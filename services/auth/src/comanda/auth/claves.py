"""The life of a signing key: announced, active, retired, removed. What it is follows from the moments of all keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_CLAVES = 10
"""Keys kept at once; a verifier takes no set of more than 20."""


@dataclass(frozen=True, slots=True)
class Clave:
    """A stored key. It signs from `activa_desde` until that moment of the key after it."""

    kid: str
    privada: str
    """Encrypted with the master key."""
    creada_en: datetime
    activa_desde: datetime


class RotacionRechazada(Exception):
    """No further key can be announced now; the message says until when."""


def en_orden(claves: Sequence[Clave]) -> list[Clave]:
    """In the order in which they sign."""
    return sorted(claves, key=lambda clave: (clave.activa_desde, clave.creada_en, clave.kid))


def activa(claves: Sequence[Clave], ahora: datetime) -> Clave:
    """The key that signs, of at least one in order: the latest whose time has come."""
    return ([clave for clave in claves if clave.activa_desde <= ahora] or claves[:1])[-1]


def anunciadas(claves: Sequence[Clave], ahora: datetime) -> list[Clave]:
    """Those of the keys in order that are published and do not sign yet."""
    return [clave for clave in claves[1:] if clave.activa_desde > ahora]


def fin(claves: Sequence[Clave], clave: Clave, vigencia: timedelta) -> datetime | None:
    """When a key in that order is removed: `vigencia` after the next one began to sign; None without a next one."""
    siguientes = claves[claves.index(clave) + 1 :]
    return siguientes[0].activa_desde + vigencia if siguientes else None


def caducadas(claves: Sequence[Clave], ahora: datetime, vigencia: timedelta) -> list[Clave]:
    """Those of the keys in order with which no living token can have been signed."""
    finales = [(clave, fin(claves, clave, vigencia)) for clave in claves]
    return [clave for clave, final in finales if final is not None and final <= ahora]


def toca_rotar(claves: Sequence[Clave], ahora: datetime, cada: timedelta) -> bool:
    """Whether the active one of the keys in order has signed for long enough, and none is announced; 0: never."""
    if not cada or anunciadas(claves, ahora):
        return False
    return activa(claves, ahora).activa_desde + cada <= ahora


def objecion_a_rotar(claves: Sequence[Clave], ahora: datetime) -> str | None:
    """Why no other key may be announced beside those in order, if so."""
    if anunciada := next(iter(anunciadas(claves, ahora)), None):
        return f"{anunciada.kid} is announced already and signs from {anunciada.activa_desde:%Y-%m-%dT%H:%M:%SZ}"
    if len(claves) >= MAX_CLAVES:
        return f"{len(claves)} keys are published, for their tokens may be alive: wait until the oldest is removed"
    return None
