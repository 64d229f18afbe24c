#!/bin/bash
# Neo4j Community inside its system: start, stop. Reads NEO4J_PORT (Bolt) and NEO4J_PASSWORD.
set -euo pipefail
home=/data/neo4j
jars=/opt/neo4j/lib/\*

if [ "$(id -u)" = 0 ]; then
    chown neo4j: /data
    exec setpriv --reuid neo4j --regid neo4j --clear-groups env HOME=/data "${BASH_SOURCE[0]}" "$@"
fi

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$NEO4J_PORT") 2>/dev/null; }
running() { [ -e $home/pid ] && grep -q '^State:[[:space:]]*[^ZX]' "/proc/$(cat $home/pid)/status" 2>/dev/null; }

status() { running && answers; }

init() {
    mkdir -p $home/conf $home/logs
    cat >$home/conf/neo4j.conf <<END
server.bolt.listen_address=127.0.0.1:$NEO4J_PORT
server.http.enabled=false
db.tx_log.preallocate=false
db.tx_log.rotation.size=8m
internal.server.bolt.thread_pool_shutdown_wait_time=1s
internal.server.bolt.connection_shutdown_wait_time=1s
END
    [ -e $home/data/dbms/auth.ini ] ||
        NEO4J_HOME=$home NEO4J_CONF=$home/conf java -cp "$jars" org.neo4j.cli.AdminTool \
            dbms set-initial-password "$NEO4J_PASSWORD" >/dev/null
}

start() {
    running && return
    init
    setsid nohup java --add-opens=java.base/{java.nio,java.io,sun.nio.ch}=ALL-UNNAMED -Xmx512m -cp "$jars" \
        org.neo4j.server.CommunityEntryPoint --home-dir=$home --config-dir=$home/conf \
        </dev/null >>$home/logs/out.log 2>&1 &
    echo $! >$home/pid
    for _ in {1..120}; do
        answers && return
        running || break
        sleep 0.5
    done
    tail -n 15 $home/logs/*.log >&2
    return 1
}

stop() {
    running || return 0
    kill "$(cat $home/pid)"
    while running; do sleep 0.2; done
}

"$@"
