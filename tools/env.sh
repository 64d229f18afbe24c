#!/bin/bash
# Drives the environment: tools/env.sh [-i dev|test] [-u postgres|root|owner] VERB [ARGUMENT...]; `make help` lists the verbs.
#   root      a system made from the Dockerfile, entered by `exec`: the checkout is /src, the server's files are /data,
#             what benchmarks keep for all checkouts is /cache
#   instance  a root with its own server, port and data: dev is kept, test is made afresh by every test run
#   owner     whoever owns the checkout: the user for commands that write into it
# The built system lies in HARTONOMOUS_CACHE, shared by all checkouts; servers' data in .hartonomous/ of the checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$here")
export PATH=$PATH:/usr/sbin:/sbin # chroot and mmdebstrap for ordinary users
cd "$checkout"
state=$checkout/.hartonomous
cache=${HARTONOMOUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hartonomous}
kept=$cache/files
path=/usr/lib/postgresql/17/bin:/opt/test/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
arguments=("$@")
instance=dev user=postgres

say() { echo "hartonomous: $*" >&2; }
die() { say "$*"; exit 1; }
die_with_log() { tail -n 30 "$2" >&2; die "$1; the whole log: $2"; }

choose_engine() {
    local candidate
    if [ -n "${HARTONOMOUS_ENGINE:-}" ]; then
        echo "$HARTONOMOUS_ENGINE"
        return
    fi
    for candidate in docker podman; do
        if timeout 10 $candidate info >/dev/null 2>&1; then
            echo $candidate
            return
        fi
    done
    echo buildah
}

# ---- instances
root_name() { echo "hartonomous-$(printf %s "$checkout" | sha256sum | cut -c1-10)-$instance"; }
data_dir() { echo "$state/$instance/data"; }
stage() { [ $instance = dev ] && echo system || echo $instance; }
image() { echo "localhost/hartonomous/$(stage):$(cat Dockerfile tools/neo4j/pom.xml tools/train_decoder.py | sha256sum | cut -c1-12)"; }
port() { cat "$state/$instance/port" 2>/dev/null || die "no $instance server was made yet: run make up"; }
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

password() {
    [ -s "$state/password" ] ||
        (umask 077 && mkdir -p "$state" && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$state/password")
    cat "$state/password"
}

choose_port() {
    local port
    port=$(cat "$state/$instance/port" 2>/dev/null) || port=$((20000 + 0x$(root_name | sha256sum | cut -c1-4) % 10000))
    while port_taken "$port"; do port=$((port + 1)); done
    [ ! -e "$state/$instance/port" ] || [ "$(port)" = "$port" ] || say "port $(port) is taken by another program, using $port"
    echo "$port" >"$state/$instance/port"
}

dsn() { echo "host=127.0.0.1 port=$(port) dbname=hartonomous user=postgres password=$(password)"; }

enter() { # user command...
    local home=/tmp
    [ "$1" != postgres ] || home=/var/lib/postgresql
    in_root "$(root_name)" "$1" "$(data_dir)" LANG=C.UTF-8 TERM="${TERM:-dumb}" HOME=$home \
        PYTHONPATH=/src/client PYTHONDONTWRITEBYTECODE=1 HARTONOMOUS_DSN="$(dsn)" \
        PGHOST=/data PGPORT="$(port)" PGUSER=postgres PGDATABASE=hartonomous "${@:2}" 8>&- 9>&-
}
server() {
    if [ $instance = neo4j ]; then
        enter root env NEO4J_PORT="$(port)" NEO4J_PASSWORD="$(password)" tools/neo4j/server.sh "$@"
    else
        enter root env HARTONOMOUS_PASSWORD="$(password)" tools/server.sh "$@"
    fi
}

build() { # image
    image_exists "$1" && return
    say "building the $(stage) stage of the Dockerfile (once; some minutes)"
    image_build "$(stage)" "$1"
}

# A root is replaced when the Dockerfile changed; its server stops first, the data stay.
make_root() {
    local image
    image=$(image)
    [ -e "$state/$instance/port" ] || choose_port
    image_exists "$image" || locked_cache build "$image"
    if [ "$(cat "$state/$instance/image" 2>/dev/null)" = "$image" ] && root_exists "$(root_name)"; then return; fi
    stop
    root_remove "$(root_name)"
    root_create "$(root_name)" "$image"
    stop # a server may have outlived its root
    echo "$image" >"$state/$instance/image"
}

stop() {
    if root_exists "$(root_name)" && [ -e "$state/$instance/port" ]; then server stop; fi
}

install_code() { enter root sh tools/install.sh >&2; }

start() { # server settings...
    server status && return
    choose_port
    say "starting the $instance server on port $(port)"
    server start "$@"
}

prepare() { # server settings...
    make_root
    enter postgres test -r Makefile || die "the server cannot read the checkout: chmod -R go+rX '$checkout'"
    install_code
    start "$@"
    server setup
}

with_lock() { # file command...
    mkdir -p "$cache" "$kept" "$(data_dir)"
    (
        flock 9
        "${@:2}"
    ) 9>"$1"
}
locked() { with_lock "$state/$instance/lock" "$@"; }
locked_cache() { with_lock "$cache/lock" "$@"; }

# A server as new, on settings that are fast rather than durable; it ends with this script.
fresh_test_server() {
    instance=test
    mkdir -p "$state/test"
    exec 8>"$state/test/run"
    flock -n 8 || { say "waiting for the test run that is under way in this checkout" && flock 8; }
    trap 'locked stop' EXIT
    locked make_root
    locked wipe
    locked prepare -c fsync=off
    enter postgres psql -qX -c 'create extension pgtap' -c 'create extension plpgsql_check'
}
wipe() {
    stop
    enter root find /data -mindepth 1 -delete
}

# ---- verbs
verb_up() {
    locked prepare
    say "the server answers on port $(port): make psql, make dsn"
}
verb_down() { locked stop; }
verb_reinstall() { locked install_code; }
verb_recreate() {
    locked install_code
    enter postgres psql -qX -d postgres -c 'drop database if exists hartonomous with (force)'
    server setup
}
verb_dsn() { dsn; }
verb_exec() {
    root_exists "$(root_name)" || die "there is no $instance system yet: make up"
    enter $user "$@"
}

verb_demo() {
    verb_up
    enter postgres bash tools/demo.sh "$@"
}

verb_test() { # [pgtap|pytest|soak] argument...
    local name settings=()
    for name in "${!HARTONOMOUS_SOAK_@}"; do settings+=("$name=${!name}"); done
    fresh_test_server
    enter postgres env "${settings[@]}" bash tools/test.sh "$@"
}
verb_check() {
    fresh_test_server
    enter owner bash tools/check.sh
}
verb_docs() {
    fresh_test_server
    enter owner python3 tools/docs.py
}

# Benchmarks run in the test root, where the rivals are, against the development server and its data.
verb_bench() { # [NAME [argument...]]
    local dsn script scripts
    verb_up
    dsn=$(dsn)
    instance=test
    locked make_root
    mapfile -t scripts < <(grep -l __main__ bench/*.py)
    if [ $# -gt 0 ]; then
        scripts=("bench/${1//-/_}.py")
        [ -e "${scripts[0]}" ] || die "there is no ${scripts[0]}"
        shift
    fi
    for script in "${scripts[@]}"; do
        enter owner env -u PGHOST -u PGPORT HARTONOMOUS_DSN="$dsn" PYTHONPATH=/src/client:/src/plpython python3 "$script" "$@"
    done
}

verb_neo4j_up() {
    instance=neo4j
    locked start_neo4j
    echo "bolt://127.0.0.1:$(port) user neo4j password $(password)"
}
start_neo4j() {
    make_root
    start
}
verb_neo4j_down() {
    instance=neo4j
    locked stop
}

verb_image() {
    locked_cache image_build server localhost/hartonomous/server:latest
    say "built localhost/hartonomous/server:latest"
}
verb_clean() {
    for instance in dev test neo4j; do
        root_exists "$(root_name)" || continue
        locked wipe
        root_remove "$(root_name)"
    done
    rm -rf "$state"
}
verb_purge() {
    verb_clean
    engine_purge
}

while getopts i:u: option; do
    case $option in
        i) instance=$OPTARG ;;
        u) user=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
engine=$(choose_engine)
case $engine in
    docker | podman) . "$here/engine_docker.sh" ;;
    buildah) . "$here/engine_buildah.sh" ;;
    *) die "unknown engine \"$engine\" in HARTONOMOUS_ENGINE, expected docker, podman or buildah" ;;
esac
engine_ready
verb=${1:-help}
shift
declare -F "verb_$verb" >/dev/null || die "unknown verb \"$verb\""
"verb_$verb" "$@"
