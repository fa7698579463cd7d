"""Every variable of every service with its default, as `.env.example` shows them."""

import os
from typing import TYPE_CHECKING, Any

from comanda.cli.environment import SERVICES, settings_class

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """\
# Every setting of Comanda with its default. Copy the file to `.env` and change what you need: `comanda` reads `.env` in
# the folder it is started in, and the environment wins over it. Made by `comanda settings`; do not edit by hand.

# --- the installation ---
# where databases, keys and logs are kept
#COMANDA_DATA=.data
# where the gateway with the shop listens, if Caddy is installed; default: 8080 if that is free; 0: no gateway
#COMANDA_GATEWAY_HOST=127.0.0.1
#COMANDA_GATEWAY_PORT=
# a PostgreSQL server, postgresql://user:password@host:port/: one database per service there, made if missing
#COMANDA_POSTGRES_URL=
# the first administrator, made only when there is none; default: a password is made up and kept in COMANDA_DATA
#COMANDA_ADMIN_EMAIL=
#COMANDA_ADMIN_PASSWORD=
# for `seed` and `verify --repair` as an administrator with a second factor: a code of its app, or a recovery code
#COMANDA_ADMIN_CODE=
# a collector of traces, OTLP over HTTP, such as http://127.0.0.1:4318; more in docs/operations.md, «Traces»
#OTEL_EXPORTER_OTLP_ENDPOINT=
"""


def env_example() -> str:
    os.environ.pop("COMANDA_DATA", None)  # some defaults are paths below it
    parts = [_HEAD]
    for service in SERVICES:
        parts.append(f"\n# --- {service} ---\n")
        settings = settings_class(service)
        for name, field in settings.model_fields.items():
            if (field.description or "").startswith("not used"):
                continue
            parts.append(f"# {field.description or name}\n#{settings.variable(name)}={_default(field)}\n")
    return "".join(parts)


def _default(field: "FieldInfo") -> str:
    value: Any = None if field.is_required() else field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
