"""The text of `mfa_token`: what is known after the password and before the code, kept by the client, sealed by us."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

from comanda.auth.cipher import Cipher, Unreadable
from comanda.auth.master_keys import MasterKeys

MFA_TOKEN_SECONDS = 300
MAX_CHARS = 4096

_LEEWAY_SECONDS = 60
"""How far the clock of the replica that wrote it may be ahead of ours."""
_PLACE = "mfa_token"


@dataclass(frozen=True, slots=True)
class LoginPendiente:
    """A log-in whose password was right."""

    usuario_id: UUID
    client_id: str
    alcance: str | None
    """The scope asked for with the password; None: whatever the role gives."""
    huella: str = field(repr=False)
    """Of what the account was like at the time; whatever changes it ends the log-in."""


class MfaTokens:
    """Writes and reads them. Only this class reads them: they are no JWT, and of another form than a refresh token."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._cipher = Cipher(master_keys, "mfa tokens")

    def write(self, login: LoginPendiente, ahora: datetime) -> str:
        values = asdict(login) | {"usuario_id": str(login.usuario_id), "escrito": int(ahora.timestamp())}
        return self._cipher.seal(json.dumps(values).encode(), _PLACE)

    def read(self, token: str, ahora: datetime) -> LoginPendiente | None:
        """What we wrote within the last `MFA_TOKEN_SECONDS`, else None."""
        if len(token) > MAX_CHARS:
            return None
        try:
            values = json.loads(self._cipher.open(token, _PLACE))
        except Unreadable:
            return None
        edad = int(ahora.timestamp()) - values.pop("escrito")
        if not -_LEEWAY_SECONDS <= edad <= MFA_TOKEN_SECONDS:
            return None
        return LoginPendiente(**values | {"usuario_id": UUID(values["usuario_id"])})
