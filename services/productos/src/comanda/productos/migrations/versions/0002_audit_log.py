"""The audit log."""

from alembic import op

from comanda.common.audit import create_audit_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_audit_table(op)


def downgrade() -> None:
    op.drop_table("auditoria")
