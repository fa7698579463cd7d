"""Orders, their history, and idempotency keys."""

import sqlalchemy as sa
from alembic import op

from comanda.common.idempotency import create_keys_table
from comanda.common.moments import UtcDateTime

revision = "0001"
down_revision = None

OPEN = sa.text("fase NOT IN ('COMPLETADO', 'CANCELADO')")
CANCELLED = sa.text("fase = 'CANCELADO'")


def upgrade() -> None:
    op.create_table(
        "pedidos",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("cliente_id", sa.String(200), nullable=False),
        sa.Column("fase", sa.String(12), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("lineas", sa.JSON, nullable=False),
        sa.Column("unidades", sa.BigInteger, nullable=False),
        sa.Column("moneda", sa.String(3), nullable=False),
        sa.Column("motivo", sa.Text),
        sa.Column("reserva_expira_en", UtcDateTime),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("actualizado_en", UtcDateTime, nullable=False),
        sa.Column("next_attempt_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease", sa.Integer, nullable=False),
        sa.Column("leased_until", UtcDateTime),
    )
    op.create_index("ix_pedidos_cliente_id", "pedidos", ["cliente_id", "id"])
    for name, columns, where in (
        ("ix_pedidos_abiertos", ["id"], OPEN),
        ("ix_pedidos_abiertos_cliente_id", ["cliente_id"], OPEN),
        ("ix_pedidos_next_attempt_at", ["next_attempt_at"], OPEN),
        ("ix_pedidos_cancelados", ["id"], CANCELLED),
    ):
        op.create_index(name, "pedidos", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "historial",
        sa.Column("pedido_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("en", UtcDateTime, nullable=False),
        sa.Column("de", sa.String(12)),
        sa.Column("a", sa.String(12), nullable=False),
        sa.Column("causa", sa.Text, nullable=False),
    )
    create_keys_table(op)


def downgrade() -> None:
    for table in ("idempotency_keys", "historial", "pedidos"):
        op.drop_table(table)
