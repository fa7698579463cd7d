"""Stock, its ledger, and reservations."""

import sqlalchemy as sa
from alembic import op

from comanda.common.idempotency import create_keys_table
from comanda.common.moments import UtcDateTime

revision = "0001"
down_revision = None

CLOSED = sa.text("estado IN ('LIBERADA', 'EXPIRADA', 'RECHAZADA')")
ACTIVE = sa.text("estado = 'ACTIVA'")


def upgrade() -> None:
    op.create_table(
        "existencias",
        sa.Column("producto_id", sa.Uuid, primary_key=True),
        sa.Column("fisico", sa.BigInteger, nullable=False),
        sa.Column("reservado", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("actualizado_en", UtcDateTime, nullable=False),
        sa.CheckConstraint("0 <= reservado AND reservado <= fisico", name="ck_existencias_disponible"),
    )
    op.create_table(
        "movimientos",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("producto_id", sa.Uuid, nullable=False),
        sa.Column("tipo", sa.String(10), nullable=False),
        sa.Column("cantidad", sa.BigInteger, nullable=False),
        sa.Column("motivo", sa.Text),
        sa.Column("pedido_id", sa.Uuid),
        sa.Column("creado_en", UtcDateTime, nullable=False),
    )
    op.create_index("ix_movimientos_producto_id", "movimientos", ["producto_id", "id"])
    op.create_table(
        "reservas",
        sa.Column("pedido_id", sa.Uuid, primary_key=True),
        sa.Column("estado", sa.String(10), nullable=False),
        sa.Column("expira_en", UtcDateTime),
        sa.Column("faltantes", sa.JSON),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("actualizado_en", UtcDateTime, nullable=False),
    )
    op.create_index(
        "ix_reservas_activas", "reservas", ["expira_en", "pedido_id"], sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_index(
        "ix_reservas_cerradas", "reservas", ["actualizado_en"], sqlite_where=CLOSED, postgresql_where=CLOSED
    )
    op.create_table(
        "reserva_lineas",
        sa.Column("pedido_id", sa.Uuid, primary_key=True),
        sa.Column("producto_id", sa.Uuid, primary_key=True),
        sa.Column("cantidad", sa.BigInteger, nullable=False),
    )
    create_keys_table(op)


def downgrade() -> None:
    for table in ("idempotency_keys", "reserva_lineas", "reservas", "movimientos", "existencias"):
        op.drop_table(table)
