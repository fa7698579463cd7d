"""The schema of productos."""

import sqlalchemy as sa

from comanda.common.audit import audit_table
from comanda.common.moments import UtcDateTime

metadata = sa.MetaData()

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # sorts by code point, as SQLite does

retirado = sa.text("NOT activo")
"""Said in the very words of the partial indexes; SQLite would not recognise `activo = 0`."""

productos = sa.Table(
    "productos",
    metadata,
    # The row number ties a product to SQLite's full-text index; nobody else sees it.
    sa.Column("fila", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.Uuid, nullable=False, unique=True),
    sa.Column("sku", _text, nullable=False, unique=True),
    sa.Column("nombre", _text, nullable=False),
    sa.Column("nombre_orden", _text, nullable=False),
    sa.Column("descripcion", _text, nullable=False),
    sa.Column("busqueda", _text, nullable=False),
    sa.Column("precio_centimos", sa.BigInteger, nullable=False),
    sa.Column("activo", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("actualizado_en", UtcDateTime, nullable=False),
    sa.CheckConstraint("precio_centimos BETWEEN 0 AND 100000000", name="ck_productos_precio"),
    sa.Index("ix_productos_nombre", "nombre_orden", "id"),
    sa.Index("ix_productos_precio", "precio_centimos", "id"),
    sa.Index("ix_productos_creado_en", "creado_en", "id"),
    # Withdrawn products are few: without these, listing them would read the whole catalogue.
    sa.Index("ix_productos_retirados_nombre", "nombre_orden", "id", sqlite_where=retirado, postgresql_where=retirado),
    sa.Index(
        "ix_productos_retirados_precio", "precio_centimos", "id", sqlite_where=retirado, postgresql_where=retirado
    ),
    sa.Index("ix_productos_retirados_creado_en", "creado_en", "id", sqlite_where=retirado, postgresql_where=retirado),
)

auditoria = audit_table(metadata)
