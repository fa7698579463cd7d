"""The text of `mfa_token`: what is known after the password and before the code, kept by the client, sealed by us."""

import base64
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken

MFA_TOKEN_SECONDS = 300
MAX_CHARS = 4096


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
    """Writes and reads them. Only this class reads them: they are no JWT, and of another length than a refresh token.

    Args:
        secret: 32 bytes, the same in all replicas.
    """

    def __init__(self, secret: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(secret))

    def write(self, login: LoginPendiente, ahora: datetime) -> str:
        content = json.dumps(asdict(login) | {"usuario_id": str(login.usuario_id)}).encode()
        return self._fernet.encrypt_at_time(content, int(ahora.timestamp())).decode()

    def read(self, token: str, ahora: datetime) -> LoginPendiente | None:
        """What we wrote within the last `MFA_TOKEN_SECONDS`, else None."""
        if len(token) > MAX_CHARS or not token.isascii():
            return None
        try:
            content = self._fernet.decrypt_at_time(token.encode(), MFA_TOKEN_SECONDS, int(ahora.timestamp()))
        except InvalidToken:
            return None
        values = json.loads(content)
        return LoginPendiente(**values | {"usuario_id": UUID(values["usuario_id"])})
