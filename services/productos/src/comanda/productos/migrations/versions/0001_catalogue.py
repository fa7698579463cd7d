"""The catalogue, and the trigram index of each database for its search."""

import sqlalchemy as sa
from alembic import op

from comanda.common.moments import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "productos",
        sa.Column("fila", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Uuid, nullable=False, unique=True),
        sa.Column("sku", text, nullable=False, unique=True),
        sa.Column("nombre", text, nullable=False),
        sa.Column("nombre_orden", text, nullable=False),
        sa.Column("descripcion", text, nullable=False),
        sa.Column("busqueda", text, nullable=False),
        sa.Column("precio_centimos", sa.BigInteger, nullable=False),
        sa.Column("activo", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("creado_en", UtcDateTime, nullable=False),
        sa.Column("actualizado_en", UtcDateTime, nullable=False),
        sa.CheckConstraint("precio_centimos BETWEEN 0 AND 100000000", name="ck_productos_precio"),
    )
    out = sa.text("NOT activo")
    for name, column in (("nombre", "nombre_orden"), ("precio", "precio_centimos"), ("creado_en", "creado_en")):
        op.create_index(f"ix_productos_{name}", "productos", [column, "id"])
        op.create_index(
            f"ix_productos_retirados_{name}", "productos", [column, "id"], sqlite_where=out, postgresql_where=out
        )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE INDEX ix_productos_busqueda ON productos USING gin (busqueda gin_trgm_ops)")
    else:
        _create_sqlite_search()


def _create_sqlite_search() -> None:
    op.execute(
        "CREATE VIRTUAL TABLE productos_busqueda USING fts5"
        "(busqueda, content='productos', content_rowid='fila', tokenize='trigram')"
    )
    added = "INSERT INTO productos_busqueda(rowid, busqueda) VALUES (new.fila, new.busqueda);"
    removed = (
        "INSERT INTO productos_busqueda(productos_busqueda, rowid, busqueda) VALUES ('delete', old.fila, old.busqueda);"
    )
    op.execute(f"CREATE TRIGGER productos_busqueda_insert AFTER INSERT ON productos BEGIN {added} END")
    op.execute(f"CREATE TRIGGER productos_busqueda_delete AFTER DELETE ON productos BEGIN {removed} END")
    op.execute(
        "CREATE TRIGGER productos_busqueda_update AFTER UPDATE OF busqueda ON productos "
        f"WHEN old.busqueda <> new.busqueda BEGIN {removed} {added} END"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("productos_busqueda")
    op.drop_table("productos")
