#!/bin/sh
# PostgreSQL refuses a key that its group can read, and a volume of secrets is read by group: a copy of its own.
set -eu
umask 077
cp /secrets/server.key /var/lib/postgresql/server.key
cp /secrets/server.crt /var/lib/postgresql/server.crt
exec docker-entrypoint.sh postgres \
    -c ssl=on \
    -c ssl_cert_file=/var/lib/postgresql/server.crt \
    -c ssl_key_file=/var/lib/postgresql/server.key \
    -c hba_file=/etc/lastgasp/pg_hba.conf \
    -c password_encryption=scram-sha-256 \
    -c shared_preload_libraries=timescaledb \
    -c timescaledb.telemetry_level=off \
    -c timezone=UTC \
    -c max_connections=200 \
    -c wal_compression=on \
    -c max_wal_size=8GB \
    -c checkpoint_timeout=15min
