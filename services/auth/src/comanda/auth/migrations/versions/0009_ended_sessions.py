"""What has ended while access tokens that were given to it may still be alive."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "terminadas",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("en", UtcDateTime, nullable=False),
    )
    op.create_index("ix_terminadas_en", "terminadas", ["en"])


def downgrade() -> None:
    op.drop_table("terminadas")
