"""Mails that wait to be sent, and when somebody showed that an address is theirs."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("usuarios", sa.Column("email_verificado_en", UtcDateTime))
    op.create_table(
        "correos",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("usuario_id", sa.Uuid),
        sa.Column("motivo", sa.String(20), nullable=False),
        sa.Column("intentos", sa.Integer, nullable=False),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("siguiente_en", UtcDateTime, nullable=False),
    )
    op.create_index("ix_correos_siguiente_en", "correos", ["siguiente_en"])
    op.create_index("ix_correos_usuario_id", "correos", ["usuario_id", "motivo"])


def downgrade() -> None:
    op.drop_table("correos")
    op.drop_column("usuarios", "email_verificado_en")
