"""Signing keys that are published before they sign."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("claves", sa.Column("activa_desde", UtcDateTime))
    # Their age counts from now, or an old installation would rotate while replicas of the release before still run.
    claves = sa.table("claves", sa.column("activa_desde", UtcDateTime))
    op.execute(sa.update(claves).values(activa_desde=datetime.now(UTC)))


def downgrade() -> None:
    op.drop_column("claves", "activa_desde")
