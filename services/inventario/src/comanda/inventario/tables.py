"""The schema of inventario."""

import sqlalchemy as sa

from comanda.common.audit import audit_table
from comanda.common.idempotency import keys_table
from comanda.common.moments import UtcDateTime
from comanda.inventario.domain import EstadoReserva

metadata = sa.MetaData()

EN_ESTADO = {estado: sa.text(f"estado = '{estado.value}'") for estado in EstadoReserva}
ACTIVA = EN_ESTADO[EstadoReserva.ACTIVA]
CERRADA = sa.text("estado IN ('LIBERADA', 'EXPIRADA', 'RECHAZADA')")
"""The conditions of partial indexes. Queries repeat them word for word: SQLite recognises them by their text."""

existencias = sa.Table(
    "existencias",
    metadata,
    sa.Column("producto_id", sa.Uuid, primary_key=True),
    sa.Column("fisico", sa.BigInteger, nullable=False),
    sa.Column("reservado", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("actualizado_en", UtcDateTime, nullable=False),
    sa.CheckConstraint("0 <= reservado AND reservado <= fisico", name="ck_existencias_disponible"),
)

movimientos = sa.Table(
    "movimientos",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("producto_id", sa.Uuid, nullable=False),
    sa.Column("tipo", sa.String(10), nullable=False),
    sa.Column("cantidad", sa.BigInteger, nullable=False),
    sa.Column("motivo", sa.Text),
    sa.Column("pedido_id", sa.Uuid),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Index("ix_movimientos_producto_id", "producto_id", "id"),
)

reservas = sa.Table(
    "reservas",
    metadata,
    sa.Column("pedido_id", sa.Uuid, primary_key=True),
    sa.Column("estado", sa.String(10), nullable=False),
    sa.Column("expira_en", UtcDateTime),
    sa.Column("faltantes", sa.JSON),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("actualizado_en", UtcDateTime, nullable=False),
    sa.Index(
        "ix_reservas_activas",
        "expira_en",
        "pedido_id",
        sqlite_where=ACTIVA,
        postgresql_where=ACTIVA,
    ),
    sa.Index(
        "ix_reservas_cerradas",
        "actualizado_en",
        sqlite_where=CERRADA,
        postgresql_where=CERRADA,
    ),
    # Lists by state. The confirmed ones, which alone stay for ever, are most of all: the primary key's index serves.
    *(
        sa.Index(f"ix_reservas_estado_{estado.lower()}", "pedido_id", sqlite_where=where, postgresql_where=where)
        for estado, where in EN_ESTADO.items()
        if estado is not EstadoReserva.CONFIRMADA
    ),
)

reserva_lineas = sa.Table(
    "reserva_lineas",
    metadata,
    sa.Column("pedido_id", sa.Uuid, primary_key=True),
    sa.Column("producto_id", sa.Uuid, primary_key=True),
    sa.Column("cantidad", sa.BigInteger, nullable=False),
)

idempotency_keys = keys_table(metadata)

auditoria = audit_table(metadata)
