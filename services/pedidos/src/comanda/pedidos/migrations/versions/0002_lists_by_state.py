"""Every list of orders by state, of one client or of all, is read in its order from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OPEN = sa.text("fase NOT IN ('COMPLETADO', 'CANCELADO')")
COMPLETED = sa.text("fase = 'COMPLETADO'")


def upgrade() -> None:
    _open_of_clients("cliente_id", "id")  # first, as it takes the strongest lock: to ask for more later would deadlock
    op.create_index("ix_pedidos_completados", "pedidos", ["id"], sqlite_where=COMPLETED, postgresql_where=COMPLETED)


def downgrade() -> None:
    _open_of_clients("cliente_id")
    op.drop_index("ix_pedidos_completados", "pedidos")


def _open_of_clients(*columns: str) -> None:
    op.drop_index("ix_pedidos_abiertos_cliente_id", "pedidos")
    op.create_index("ix_pedidos_abiertos_cliente_id", "pedidos", [*columns], sqlite_where=OPEN, postgresql_where=OPEN)
