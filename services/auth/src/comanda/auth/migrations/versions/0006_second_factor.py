"""A second factor for users, its recovery codes, and how each session began."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "totp",
        sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
        sa.Column("secreto", sa.Text, nullable=False),
        sa.Column("activado_en", UtcDateTime),
        sa.Column("ultimo_paso", sa.BigInteger, nullable=False),
        sa.Column("usos", sa.Integer, nullable=False),
        sa.Column("fallos", sa.Integer, nullable=False),
        sa.Column("fallado_en", UtcDateTime),
        sa.Column("creado_en", UtcDateTime, nullable=False),
    )
    op.create_table(
        "codigos_recuperacion",
        sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
        sa.Column("codigo_hash", sa.String(64), primary_key=True),
    )
    op.add_column("familias", sa.Column("amr", sa.String(50)))


def downgrade() -> None:
    op.drop_column("familias", "amr")
    for table in ("codigos_recuperacion", "totp"):
        op.drop_table(table)
