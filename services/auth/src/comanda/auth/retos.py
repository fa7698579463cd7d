"""The challenges of passkeys: written by any replica, read by any other, kept nowhere."""

import hashlib
from datetime import datetime, timedelta
from typing import Literal

from comanda.auth.cipher import Cipher, Unreadable
from comanda.auth.domain import Usuario
from comanda.auth.master_keys import MasterKeys

RETO_SECONDS = 300
"""As long as browsers give people to choose a passkey (WebAuthn §15.1)."""
MAX_BYTES = 256

_LEEWAY = timedelta(seconds=60)
"""How far the clock of the replica that wrote it may be ahead of ours."""

Para = Literal["registrar", "entrar"]


class Retos:
    """Each challenge is sealed, and in it is when it was written: the nonce makes it random (96 bits).

    Nobody can have made a signature over it before, or use it for something else. That none is used twice is for who
    keeps the moment of the last one used.
    """

    def __init__(self, master_keys: MasterKeys) -> None:
        self._cipher = Cipher(master_keys, "passkey challenges")

    def write(self, para: Para, ahora: datetime, usuario: Usuario | None = None) -> bytes:
        """Args: usuario: who alone may use it, as long as the password stays the same."""
        return self._cipher.seal(ahora.isoformat().encode(), _place(para, usuario)).encode()

    def read(self, para: Para, reto: bytes, ahora: datetime, usuario: Usuario | None = None) -> datetime | None:
        """When we wrote it, if that was for this and within the last `RETO_SECONDS`, else None."""
        if len(reto) > MAX_BYTES or not reto.isascii():
            return None
        try:
            escrito = datetime.fromisoformat(self._cipher.open(reto.decode(), _place(para, usuario)).decode())
        except Unreadable:
            return None
        return escrito if -_LEEWAY <= ahora - escrito <= timedelta(seconds=RETO_SECONDS) else None


def _place(para: Para, usuario: Usuario | None) -> str:
    if usuario is None:
        return para
    return f"{para} {usuario.id} {hashlib.sha256(usuario.password_hash.encode()).hexdigest()}"
