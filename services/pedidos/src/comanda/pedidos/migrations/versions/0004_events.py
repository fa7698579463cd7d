"""Transitions are numbered, so that they can be followed as events."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBERED = sa.text("numero > 0")
UNNUMBERED = sa.text("numero IS NULL")


def upgrade() -> None:
    # What happened before is no event. On PostgreSQL a default writes no row, and is taken away from those to come.
    before = "0" if op.get_bind().dialect.name == "postgresql" else None
    op.add_column("historial", sa.Column("numero", sa.BigInteger, server_default=before))
    op.add_column("historial", sa.Column("cliente_id", sa.String(200)))
    if before is None:
        op.execute("UPDATE historial SET numero = 0")
    else:
        op.alter_column("historial", "numero", server_default=None)
    for name, columns, where in (
        ("ix_historial_sin_numero", ["pedido_id", "version"], UNNUMBERED),
        ("ix_historial_numero", ["numero"], NUMBERED),
        ("ix_historial_cliente_id", ["cliente_id", "numero"], NUMBERED),
    ):
        unique = name == "ix_historial_numero"
        op.create_index(name, "historial", columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in ("ix_historial_cliente_id", "ix_historial_numero", "ix_historial_sin_numero"):
        op.drop_index(name, "historial")
    op.drop_column("historial", "cliente_id")
    op.drop_column("historial", "numero")
