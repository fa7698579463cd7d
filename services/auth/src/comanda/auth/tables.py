"""The schema of auth."""

import sqlalchemy as sa

from comanda.common.audit import audit_table
from comanda.common.moments import UtcDateTime

metadata = sa.MetaData()

_active_admin = sa.text("rol = 'admin' AND activo")

usuarios = sa.Table(
    "usuarios",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    # The email as it is compared: two users never differ by case alone.
    sa.Column("email_clave", sa.Text, nullable=False, unique=True),
    sa.Column("nombre", sa.Text, nullable=False),
    sa.Column("rol", sa.String(20), nullable=False),
    sa.Column("activo", sa.Boolean, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("actualizado_en", UtcDateTime, nullable=False),
    sa.Column("email_verificado_en", UtcDateTime),
    sa.CheckConstraint("rol IN ('cliente', 'admin')", name="ck_usuarios_rol"),
    sa.Index("ix_usuarios_admins", "id", sqlite_where=_active_admin, postgresql_where=_active_admin),
)

familias = sa.Table(
    "familias",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), nullable=False),
    sa.Column("client_id", sa.String(100), nullable=False),
    sa.Column("alcance", sa.Text),  # NULL: whatever the role gives
    sa.Column("generacion", sa.Integer, nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False),
    sa.Column("rotada_en", UtcDateTime, nullable=False),
    sa.Column("creada_en", UtcDateTime, nullable=False),
    sa.Column("expira_en", UtcDateTime, nullable=False),
    sa.Column("dispositivo", sa.String(200), nullable=False, server_default=sa.text("''")),
    sa.Column("amr", sa.String(50)),  # NULL: by password, before this was kept
    sa.Index("ix_familias_usuario_id", "usuario_id", "id"),
    sa.Index("ix_familias_expira_en", "expira_en"),
)

terminadas = sa.Table(
    "terminadas",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # of a session, or of a service account
    sa.Column("en", UtcDateTime, nullable=False),  # until when it may have been given a token
    sa.Index("ix_terminadas_en", "en"),
)

totp = sa.Table(
    "totp",
    metadata,
    sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
    sa.Column("secreto", sa.Text, nullable=False),  # encrypted with the master key
    sa.Column("activado_en", UtcDateTime),  # NULL: not yet confirmed
    sa.Column("ultimo_paso", sa.BigInteger, nullable=False),
    sa.Column("usos", sa.Integer, nullable=False),
    sa.Column("fallos", sa.Integer, nullable=False),
    sa.Column("fallado_en", UtcDateTime),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("algoritmo", sa.String(10), nullable=False, server_default=sa.text("'SHA1'")),
)

codigos_recuperacion = sa.Table(
    "codigos_recuperacion",
    metadata,
    sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
    sa.Column("codigo_hash", sa.String(64), primary_key=True),  # a spent code has no row
    sa.Column("llave", sa.String(12)),  # id of the hashes' master key; NULL: from before this was kept
)

claves = sa.Table(
    "claves",
    metadata,
    sa.Column("kid", sa.String(100), primary_key=True),
    sa.Column("privada", sa.Text, nullable=False),  # encrypted with the master key
    sa.Column("creada_en", UtcDateTime, nullable=False),
    sa.Column("activa_desde", UtcDateTime),  # NULL: from creada_en, as the release before writes it
)

cuentas_de_servicio = sa.Table(
    "cuentas_de_servicio",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("nombre", sa.Text, nullable=False),
    sa.Column("alcances", sa.Text, nullable=False),  # separated by spaces
    sa.Column("activo", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("ultimo_uso", UtcDateTime),
)

secretos_de_servicio = sa.Table(
    "secretos_de_servicio",
    metadata,
    sa.Column("cuenta_id", sa.Uuid, sa.ForeignKey("cuentas_de_servicio.id"), primary_key=True),
    sa.Column("huella", sa.String(64), primary_key=True),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("caduca_en", UtcDateTime),  # NULL: the current one
)
auditoria = audit_table(metadata)
correos = sa.Table(
    "correos",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    # NULL: nobody has the address. No foreign key: checking it would take time only where somebody has.
    sa.Column("usuario_id", sa.Uuid),
    sa.Column("motivo", sa.String(20), nullable=False),
    sa.Column("intentos", sa.Integer, nullable=False),
    sa.Column("creado_en", UtcDateTime, nullable=False),
    sa.Column("siguiente_en", UtcDateTime, nullable=False),
    sa.Index("ix_correos_siguiente_en", "siguiente_en"),
    sa.Index("ix_correos_usuario_id", "usuario_id", "motivo"),
)

origenes = sa.Table(
    "origenes",
    metadata,
    sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), primary_key=True),
    sa.Column("huella", sa.String(64), primary_key=True),  # of a place from which the user has logged in
    sa.Column("visto_en", UtcDateTime, nullable=False),
    sa.Index("ix_origenes_visto_en", "visto_en"),
)

passkeys = sa.Table(
    "passkeys",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("usuario_id", sa.Uuid, sa.ForeignKey("usuarios.id"), nullable=False),
    sa.Column("credencial", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("llave_publica", sa.LargeBinary, nullable=False),  # COSE
    sa.Column("contador", sa.BigInteger, nullable=False),
    sa.Column("reto_en", UtcDateTime),
    sa.Column("nombre", sa.String(100), nullable=False),
    sa.Column("creada_en", UtcDateTime, nullable=False),
    sa.Column("usada_en", UtcDateTime),
    sa.Index("ix_passkeys_usuario_id", "usuario_id", "id"),
)
