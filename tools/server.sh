#!/bin/bash
# The PostgreSQL server inside the system: init, start, stop, status, setup, run.
# Reads HARTONOMOUS_PASSWORD (superuser's, when the data directory is made) and PGPORT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PGDATA=/data/pgdata PGHOST=/data PGUSER=postgres PGPORT=${PGPORT:-5432}
unset OPENBLAS_CORETYPE # it slows matrix products, and every backend would inherit it

if [ "$(id -u)" = 0 ]; then
    chown postgres: /data
    chmod 700 /data
    exec setpriv --reuid postgres --regid postgres --init-groups env HOME=/var/lib/postgresql "$here/server.sh" "$@"
fi

init() {
    if [ ! -e "$PGDATA/PG_VERSION" ]; then
        : "${HARTONOMOUS_PASSWORD:?a new server needs the superuser\'s password in HARTONOMOUS_PASSWORD}"
        rm -rf "$PGDATA.new"
        initdb -D "$PGDATA.new" -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --auth-local=trust \
            --pwfile=<(echo "$HARTONOMOUS_PASSWORD") >/dev/null
        echo "host all all all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
        echo "include 'hartonomous.conf'" >>"$PGDATA.new/postgresql.conf"
        mv "$PGDATA.new" "$PGDATA"
    fi
    cp "$here/postgresql.conf" "$PGDATA/hartonomous.conf"
}

status() { pg_ctl status >/dev/null 2>&1; }

# After a kill -9 the lock file and the shared memory of the dead server linger for a moment: hence the second try.
start() {
    status && return
    init
    local log=/data/server.log
    pg_ctl start -s -w -t 120 -l "$log" -o "$*" 2>/dev/null || { sleep 2 && pg_ctl start -s -w -t 120 -l "$log" -o "$*"; } ||
        { tail -n 15 "$log" >&2 && return 1; }
}

stop() { ! status || pg_ctl stop -s -w -t 120 -m fast; }

setup() { psql -qX -v ON_ERROR_STOP=1 -d postgres -f "$here/setup.sql"; }

run() {
    start -c listen_addresses=
    setup
    stop
    exec postgres -p "$PGPORT" "$@"
}

"$@"
