#!/bin/sh
# TimescaleDB (Apache edition) for the tests: Debian trixie's packages in a folder of their own, build/trixie.
#
#   scripts/timescale.sh install            once; about a minute and 700 MB, kept between runs
#   scripts/timescale.sh start NAME PORT    a fresh cluster on 127.0.0.1:PORT, superuser postgres, no password
#   scripts/timescale.sh kill NAME          kill -9 of all its processes
#   scripts/timescale.sh freeze NAME        they hold their connections and say nothing, until "thaw NAME"
#   scripts/timescale.sh again NAME PORT    starts it again, as it was
#   scripts/timescale.sh stop NAME          stops it and throws it away
#
# The server runs inside the folder (chroot) as user postgres.  /proc is mounted in a mount namespace of the
# server's own, so nothing stays mounted on the machine and the folder can always be removed.
set -eu
cd "$(dirname "$0")/.."
root=build/trixie
bin=/usr/lib/postgresql/17/bin
clusters=/var/lib/lastgasp

inside() {
    unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

as_postgres() {
    inside setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
}

install() {
    if [ -e "$root/.ready" ]; then
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
        echo "TimescaleDB needs root and the Debian package debootstrap: sudo make services" >&2
        exit 1
    fi
    mkdir -p build
    rm -rf --one-file-system "$root" "$root.part"
    unshare --mount debootstrap --variant=minbase --include=postgresql-17-timescaledb \
        trixie "$root.part" >build/trixie.log 2>&1 || {
        tail -n 20 build/trixie.log >&2
        echo "debootstrap failed; all it said is in build/trixie.log" >&2
        exit 1
    }
    mv "$root.part" "$root"
    inside install -d -o postgres -g postgres "$clusters"
    as_postgres "$bin/initdb" -D "$clusters/template" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >>build/trixie.log
    cat >>"$root$clusters/template/postgresql.conf" <<'CONF'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
listen_addresses = '127.0.0.1'
unix_socket_directories = '/tmp'
shared_buffers = 64MB
fsync = off
full_page_writes = off
CONF
    touch "$root/.ready"
}

start() {
    as_postgres cp -a "$clusters/template" "$clusters/$1"
    again "$1" "$2"
}

again() {
    cluster=$clusters/$1
    as_postgres "$bin/pg_ctl" -D "$cluster" -l "$cluster/log" -o "-p $2" -w -t 60 start >/dev/null || {
        cat "$root$cluster/log" >&2
        exit 1
    }
}

signal_all() {
    leader=$(head -n 1 "$root$clusters/$1/postmaster.pid")
    kill "$2" "$leader" $(cat "/proc/$leader/task/$leader/children")
}

kill_all() {
    signal_all "$1" -KILL
    while kill -0 "$leader" 2>/dev/null; do sleep 0.05; done
}

stop() {
    cluster=$clusters/$1
    [ -e "$root$cluster" ] || return 0
    as_postgres "$bin/pg_ctl" -D "$cluster" -m immediate -w stop >/dev/null || true
    rm -rf "$root$cluster"
}

case "${1-}" in
    install) install ;;
    start) start "$2" "$3" ;;
    kill) kill_all "$2" ;;
    freeze) signal_all "$2" -STOP ;;
    thaw) signal_all "$2" -CONT ;;
    again) again "$2" "$3" ;;
    stop) stop "$2" ;;
    *)
        sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
