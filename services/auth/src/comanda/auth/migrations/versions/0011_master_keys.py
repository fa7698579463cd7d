"""The hash of each second factor, and the master key under which recovery codes are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("totp", sa.Column("algoritmo", sa.String(10), nullable=False, server_default=sa.text("'SHA1'")))
    op.add_column("codigos_recuperacion", sa.Column("llave", sa.String(12)))


def downgrade() -> None:
    op.drop_column("codigos_recuperacion", "llave")
    op.drop_column("totp", "algoritmo")
