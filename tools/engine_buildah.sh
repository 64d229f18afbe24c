# Engine without a daemon: buildah builds, roots are mounted and entered by unshare + chroot. Sourced by env.sh.
# Not `buildah run`: it would take the server down with KILL when it ends, and it could not leave one running.
export STORAGE_DRIVER=overlay BUILDAH_ISOLATION=chroot
base_image=docker.io/library/debian:trixie-slim

engine_ready() {
    local missing=()
    command -v buildah >/dev/null || missing+=(buildah)
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
            die "neither docker nor podman answers, and ${missing[*]} is missing: sudo apt-get install buildah mmdebstrap uidmap"
        say "installing ${missing[*]}"
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 ||
            die "apt-get install ${missing[*]} failed: run it by hand to see why"
    fi
    [ "$(id -u)" = 0 ] || [ -n "${_CONTAINERS_USERNS_CONFIGURED:-}" ] || exec buildah unshare bash "$here/env.sh" "${arguments[@]}"
}

store() { buildah --root "$cache/store" --runroot "$cache/run" "$@"; }
image_exists() { store inspect --type image "$1" >/dev/null 2>&1; }
root_exists() { store inspect --type container "$1" >/dev/null 2>&1; }
root_create() { store from -q --pull-never --name "$1" "$2" >/dev/null; }
root_remove() { ! root_exists "$1" || store rm "$1" >/dev/null; }

# What debian:trixie-slim is (no manuals, no translations), made from what this host's apt uses (mmdebstrap's own default on a host that is not Debian),
# with the host's certificates and pip settings, so that the Dockerfile needs to know none of them.
base_build() {
    local tar=$cache/base.$$.tar root site option dir options=()
    ! image_exists $base_image || return 0
    say "building the Debian base"
    site=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 2>/dev/null | grep -m1 '/debian/*$') || site=
    while read -r option; do options+=(--aptopt="$option"); done < <(apt-config dump | grep -E '^Acquire::https?::Proxy ')
    for dir in doc man locale; do options+=(--dpkgopt="path-exclude=/usr/share/$dir/*"); done
    mmdebstrap --quiet --variant=minbase "${options[@]}" \
        --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --customize-hook='mkdir -p "$1/usr/local/share/ca-certificates"; cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || :' \
        --customize-hook='[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$1/etc/pip.conf"' \
        trixie "$tar" $site 2>"$cache/base.log" || die_with_log "mmdebstrap failed" "$cache/base.log"
    root=$(store from scratch)
    store add -q "$root" "$tar" / >/dev/null
    store config --cmd bash "$root"
    store commit -q --rm "$root" $base_image >/dev/null
    rm "$tar"
}

image_build() { # stage image
    base_build
    store bud --layers --network host --pull-never --target "$1" -t "$2" "$checkout" >"$cache/build.log" 2>&1 ||
        die_with_log "building the stage $1 failed" "$cache/build.log"
}

in_root() { # root user data-dir [NAME=VALUE...] command...: the mounts live as long as the command and what it leaves behind
    local root
    [ "$2" != owner ] || set -- "$1" root "${@:3}"
    root=$(store mount "$1")
    mkdir -p "$root/data" "$root/src" "$root/cache"
    unshare --mount --propagation private sh -ec '
        root=$1 user=$2 data=$3 src=$4 kept=$5; shift 5
        mount --bind "$data" "$root/data"; mount --bind "$src" "$root/src"; mount --bind "$kept" "$root/cache"
        for dir in proc dev sys; do mount --rbind /$dir "$root/$dir"; done
        exec chroot "$root" setpriv --reuid "$user" --regid "$user" --init-groups env -i -C /src "$@"
    ' sh "$root" "$2" "$3" "$checkout" "$kept" PATH="$path" "${@:4}"
}

engine_purge() {
    local running
    running=$(find /proc -maxdepth 2 -name root -lname "$cache/store/*" 2>/dev/null || :)
    [ -z "$running" ] || die "servers of other checkouts run from $cache: stop them with make down first"
    store umount --all >/dev/null 2>&1 || :
    store rm --all >/dev/null 2>&1 || :
    store rmi --all --force >/dev/null 2>&1 || :
    umount -l "$cache/store/overlay" 2>/dev/null || :
    rm -rf "$cache"
}
