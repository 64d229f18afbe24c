#!/bin/bash
# The PostgreSQL server inside the system: init, start, stop, status, setup, run.
# Reads HARTONOMOUS_PASSWORD (superuser's, when the data directory is made) and PGPORT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PGDATA=/data/pgdata PGHOST=/data PGUSER=postgres PGPORT=${PGPORT:-5432}

# As postgres, and with nothing else in the environment: every backend inherits it (OPENBLAS_CORETYPE would slow
# matrix products, PYTHONPATH change what PL/Python imports).
if [ "$(id -u)" = 0 ]; then
    chown postgres: /data
    chmod 700 /data
    exec setpriv --reuid postgres --regid postgres --init-groups env -i HOME=/var/lib/postgresql LANG=C.UTF-8 \
        PATH="$PATH" PGPORT="$PGPORT" HARTONOMOUS_PASSWORD="${HARTONOMOUS_PASSWORD:-}" "$here/server.sh" "$@"
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
    [ -e /data/secret.keys ] || (umask 077 && echo "1:$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')" >/data/secret.keys)
    cp "$here/postgresql.conf" "$PGDATA/hartonomous.conf"
    unset HARTONOMOUS_PASSWORD
}

# Asked on the socket, not by process id: a killed server's id may linger or belong to another program by now.
answers() { pg_isready -q; }
status() { answers || [ $? = 1 ]; } # 1: it is there, but starting up or shutting down

# The lock file and the shared memory of a killed server stay taken for a moment, hence the repetition.
start() { # setting...
    local attempt log=/data/server.log
    if ! status; then
        init
        for attempt in 1 2 3 4 5; do
            pg_ctl start -s -w -t 300 -l "$log" -o "$*" >/dev/null 2>&1 && return
            sleep 1
        done
        tail -n 15 "$log" >&2
        return 1
    fi
    for attempt in {1..300}; do
        answers && return
        sleep 1
    done
    return 1
}

stop() { ! status || pg_ctl stop -s -w -t 300 -m fast; }

setup() { psql -qX -v ON_ERROR_STOP=1 -d postgres -f "$here/setup.sql"; }

run() {
    start -c listen_addresses=
    setup
    stop
    exec postgres -p "$PGPORT" "$@"
}

"$@"
