"""Who calls."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a verified token speaks for, and what it allows."""

    issuer: str
    subject: str
    scopes: frozenset[str]
    client_id: str | None
    token_id: str
    expires_at: float
    """Seconds since the epoch."""
    is_service: bool
    session_id: str | None = None
    """The login that a user's token stems from (`sid`), where its issuer tells."""
    authenticated_at: float | None = None
    """When that login was (`auth_time`, RFC 9068 §2.2.1), where its issuer tells. Seconds since the epoch."""

    @property
    def is_client(self) -> bool:
        """Whether a client got the token for itself, so that no user stands behind it (RFC 9068 §2.2)."""
        return not self.is_service and self.subject == self.client_id

    def has(self, scope: str) -> bool:
        return scope in self.scopes
