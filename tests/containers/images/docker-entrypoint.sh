#!/bin/sh
# What the official image does on a first start, as far as the cluster uses it: initdb with a password, a server on its
# socket only, the scripts of /docker-entrypoint-initdb.d, then the server itself.
set -eu
set -- "$@" -c unix_socket_directories=/tmp  # /run is nobody's here
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # shellcheck disable=SC2086
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS-} -D "$PGDATA"
    shift
    pg_ctl -D "$PGDATA" -w start -o "$(printf "'%s' " "$@" -c listen_addresses=)"
    for script in /docker-entrypoint-initdb.d/*; do
        sh "$script"
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    set -- postgres "$@"
fi
exec "$@" -c 'listen_addresses=*' -D "$PGDATA"
