"""From where each account has logged in, as fingerprints."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "origenes",
        sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
        sa.Column("huella", sa.String(64), primary_key=True),
        sa.Column("visto_en", UtcDateTime, nullable=False),
    )
    op.create_index("ix_origenes_visto_en", "origenes", ["visto_en"])


def downgrade() -> None:
    op.drop_table("origenes")
