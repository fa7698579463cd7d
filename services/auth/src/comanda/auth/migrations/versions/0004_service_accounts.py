"""Service accounts and their secrets. The release before knows neither, and needs neither."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "cuentas_de_servicio",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("nombre", sa.Text, nullable=False),
        sa.Column("alcances", sa.Text, nullable=False),
        sa.Column("activo", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("ultimo_uso", UtcDateTime),
    )
    op.create_table(
        "secretos_de_servicio",
        sa.Column("cuenta_id", sa.Uuid, sa.ForeignKey("cuentas_de_servicio.id"), primary_key=True),
        sa.Column("huella", sa.String(64), primary_key=True),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("caduca_en", UtcDateTime),
    )


def downgrade() -> None:
    for table in ("secretos_de_servicio", "cuentas_de_servicio"):
        op.drop_table(table)
