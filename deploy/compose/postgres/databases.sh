#!/bin/sh
# One database and one role for each service, which no other role may enter. Run once, by the official image, when the
# server is made; AUTH_PASSWORD and the others come from deploy/secrets/postgres.env.
set -eu

for service in auth productos inventario pedidos; do
    variable="$(echo "$service" | tr '[:lower:]' '[:upper:]')_PASSWORD"
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set role="comanda_$service" --set password="$(printenv "$variable")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role" TEMPLATE template0 ENCODING 'UTF8';
REVOKE CONNECT ON DATABASE :"role" FROM PUBLIC;
SQL
done
