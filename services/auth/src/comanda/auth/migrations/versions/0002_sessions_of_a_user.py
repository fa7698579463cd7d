"""What a session was begun with, and the sessions of a user in the order of their beginning."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("familias", sa.Column("dispositivo", sa.String(200), nullable=False, server_default=sa.text("''")))
    op.drop_index("ix_familias_usuario_id", "familias")
    op.create_index("ix_familias_usuario_id", "familias", ["usuario_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_familias_usuario_id", "familias")
    op.create_index("ix_familias_usuario_id", "familias", ["usuario_id"])
    op.drop_column("familias", "dispositivo")
