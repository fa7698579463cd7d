"""Passkeys. The release before knows nothing of them, and needs nothing of them."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), nullable=False),
        sa.Column("credencial", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("llave_publica", sa.LargeBinary, nullable=False),
        sa.Column("contador", sa.BigInteger, nullable=False),
        sa.Column("reto_en", UtcDateTime),
        sa.Column("nombre", sa.String(100), nullable=False),
        sa.Column("creada_en", UtcDateTime, nullable=False),
        sa.Column("usada_en", UtcDateTime),
    )
    op.create_index("ix_passkeys_usuario_id", "passkeys", ["usuario_id", "id"])


def downgrade() -> None:
    op.drop_table("passkeys")
