"""Users, their sessions, and the keys that sign tokens."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "usuarios",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_clave", sa.Text, nullable=False, unique=True),
        sa.Column("nombre", sa.Text, nullable=False),
        sa.Column("rol", sa.String(20), nullable=False),
        sa.Column("activo", sa.Boolean, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("actualizado_en", UtcDateTime, nullable=False),
        sa.CheckConstraint("rol IN ('cliente', 'admin')", name="ck_usuarios_rol"),
    )
    admins = sa.text("rol = 'admin' AND activo")
    op.create_index("ix_usuarios_admins", "usuarios", ["id"], sqlite_where=admins, postgresql_where=admins)
    op.create_table(
        "familias",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), nullable=False),
        sa.Column("client_id", sa.String(100), nullable=False),
        sa.Column("alcance", sa.Text),
        sa.Column("generacion", sa.Integer, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("rotada_en", UtcDateTime, nullable=False),
        sa.Column("creada_en", UtcDateTime, nullable=False),
        sa.Column("expira_en", UtcDateTime, nullable=False),
    )
    op.create_index("ix_familias_usuario_id", "familias", ["usuario_id"])
    op.create_index("ix_familias_expira_en", "familias", ["expira_en"])
    op.create_table(
        "claves",
        sa.Column("kid", sa.String(100), primary_key=True),
        sa.Column("privada", sa.Text, nullable=False),
        sa.Column("creada_en", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    for table in ("claves", "familias", "usuarios"):
        op.drop_table(table)
