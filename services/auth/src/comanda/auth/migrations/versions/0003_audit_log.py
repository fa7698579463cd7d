"""The audit log."""

from alembic import op

from comanda.common.audit import create_audit_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_audit_table(op)


def downgrade() -> None:
    op.drop_table("auditoria")
