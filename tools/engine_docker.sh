# Engine with docker or podman: a root is an idle container that commands are executed in. Sourced by env.sh.
engine_ready() { :; }
image_exists() { "$engine" image inspect "$1" >/dev/null 2>&1; }
root_exists() { [ "$("$engine" container inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

root_create() { # name image
    root_remove "$1"
    "$engine" run -d --init --name "$1" --network host --shm-size 4g \
        --security-opt label=disable --entrypoint sleep \
        -v "$checkout:/src" -v "$(data_dir):/data" -v "$kept:/cache" "$2" infinity >/dev/null
}
root_remove() { "$engine" rm -f "$1" >/dev/null 2>&1 || :; }

image_build() { # stage image
    "$engine" build --network host --target "$1" -t "$2" "$checkout" >"$cache/build.log" 2>&1 ||
        die_with_log "building the stage $1 failed" "$cache/build.log"
}

in_root() { # root user data-dir [NAME=VALUE...] command...
    local root=$1 options=(-i)
    [ ! -t 0 ] || options+=(-t)
    [ "$2" != owner ] || set -- "$1" "$(id -u):$(id -g)" "${@:3}"
    "$engine" exec "${options[@]}" -u "$2" -w /src "$root" env "PATH=$path" "${@:4}"
}

engine_purge() {
    "$engine" image ls -q 'localhost/hartonomous' | sort -u | xargs -r "$engine" rmi -f >/dev/null
    rm -rf "$cache"
}
