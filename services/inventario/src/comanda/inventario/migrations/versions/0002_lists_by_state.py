"""Every list of reservations by state is read in its order from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STATES = ("ACTIVA", "LIBERADA", "EXPIRADA", "RECHAZADA")


def upgrade() -> None:
    for state in STATES:
        where = sa.text(f"estado = '{state}'")
        op.create_index(
            f"ix_reservas_estado_{state.lower()}",
            "reservas",
            ["pedido_id"],
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    for state in STATES:
        op.drop_index(f"ix_reservas_estado_{state.lower()}", "reservas")
