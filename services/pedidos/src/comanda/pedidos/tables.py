"""The schema of pedidos."""

import sqlalchemy as sa

from comanda.common.audit import audit_table
from comanda.common.idempotency import keys_table
from comanda.common.moments import UtcDateTime

metadata = sa.MetaData()

OPEN = sa.text("fase NOT IN ('COMPLETADO', 'CANCELADO')")
"""The orders that are not final. Written out, so that both databases recognise their partial indexes."""

CANCELLED = sa.text("fase = 'CANCELADO'")
COMPLETED = sa.text("fase = 'COMPLETADO'")

NUMBERED = sa.text("numero > 0")
"""The transitions that are events; those from before there were events have the number 0."""

UNNUMBERED = sa.text("numero IS NULL")

pedidos = sa.Table(
    "pedidos",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("cliente_id", sa.String(200), nullable=False),
    sa.Column("fase", sa.String(12), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("lineas", sa.JSON, nullable=False),  # a copy that never changes and is only read whole
    sa.Column("unidades", sa.BigInteger, nullable=False),
    sa.Column("moneda", sa.String(3), nullable=False),
    sa.Column("motivo", sa.Text),
    sa.Column("reserva_expira_en", UtcDateTime),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("actualizado_en", UtcDateTime, nullable=False),
    # Recovery: when to look at the order next, how often it was tried, and who works on it until when.
    sa.Column("next_attempt_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("lease", sa.Integer, nullable=False, default=0),
    sa.Column("leased_until", UtcDateTime),
    sa.Index("ix_pedidos_cliente_id", "cliente_id", "id"),
    sa.Index("ix_pedidos_abiertos", "id", sqlite_where=OPEN, postgresql_where=OPEN),
    sa.Index("ix_pedidos_abiertos_cliente_id", "cliente_id", "id", sqlite_where=OPEN, postgresql_where=OPEN),
    sa.Index("ix_pedidos_next_attempt_at", "next_attempt_at", sqlite_where=OPEN, postgresql_where=OPEN),
    sa.Index("ix_pedidos_cancelados", "id", sqlite_where=CANCELLED, postgresql_where=CANCELLED),
    sa.Index("ix_pedidos_completados", "id", sqlite_where=COMPLETED, postgresql_where=COMPLETED),
)

historial = sa.Table(
    "historial",
    metadata,
    sa.Column("pedido_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("en", UtcDateTime, nullable=False),
    sa.Column("de", sa.String(12)),
    sa.Column("a", sa.String(12), nullable=False),
    sa.Column("causa", sa.Text, nullable=False),
    # Written by whoever numbers events, after the transition was committed (ADR 0028).
    sa.Column("numero", sa.BigInteger),
    sa.Column("cliente_id", sa.String(200)),
    sa.Index("ix_historial_sin_numero", "pedido_id", "version", sqlite_where=UNNUMBERED, postgresql_where=UNNUMBERED),
    sa.Index("ix_historial_numero", "numero", unique=True, sqlite_where=NUMBERED, postgresql_where=NUMBERED),
    sa.Index("ix_historial_cliente_id", "cliente_id", "numero", sqlite_where=NUMBERED, postgresql_where=NUMBERED),
)

idempotency_keys = keys_table(metadata)

auditoria = audit_table(metadata)
