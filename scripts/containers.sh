#!/bin/sh
# The cluster of docker-compose.yml in real containers, without a Docker engine and without an image registry: podman
# and runc, our own Dockerfile on a stand-in of its base image, and stand-ins of the other houses' servers out of
# Debian packages and Kafka's jars, under the names that the file uses (tests/containers/images/).
#
#   scripts/containers.sh install        podman and a Debian in a folder, build/containers; once
#   scripts/containers.sh images         every image that docker-compose.yml names
#   scripts/containers.sh podman ...     podman, with this folder's images and containers
#   scripts/containers.sh compose ...    podman-compose, likewise
#   scripts/containers.sh clean          every container, volume and image of this folder
#
# Root on Debian 12.  Only loopback and networks that are made here are used.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd)
work=$(mkdir -p build/containers && cd build/containers && pwd -P)  # podman wants its folders by their own names
images=$here/tests/containers/images

settings() {
    # podman remembers by which names it knew its folders: what was made under others is of no use to it.
    if [ "$(cat "$work/.at" 2>/dev/null)" != "$work" ]; then
        forget
        echo "$work" >"$work/.at"
    fi
    cat >"$work/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
CONF
    cat >"$work/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$work/storage"
runroot = "$work/run"
CONF
    export CONTAINERS_CONF="$work/containers.conf" CONTAINERS_STORAGE_CONF="$work/storage.conf"
}

install() {
    missing=""
    for pair in podman:podman runc:runc debootstrap:debootstrap iptables:iptables; do
        PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    [ -e /usr/bin/catatonit ] || [ -e /usr/libexec/podman/catatonit ] || missing="$missing catatonit"
    [ -e /usr/lib/podman/netavark ] || missing="$missing netavark aardvark-dns"
    if [ -n "$missing" ]; then
        DEBIAN_FRONTEND=noninteractive apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
    if ! "$work/venv/bin/podman-compose" --version >/dev/null 2>&1; then  # none, or one made in a folder that moved
        rm -rf "$work/venv"
        python3 -m venv "$work/venv"
        "$work/venv/bin/python" -m pip install --disable-pip-version-check -q podman-compose==1.6.0
    fi
    if [ ! -e "$work/base/.ready" ]; then
        rm -rf --one-file-system "$work/base"
        unshare --mount debootstrap --variant=minbase \
            --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$work/base" >"$work/base.log" 2>&1
        touch "$work/base/.ready"
    fi
    scripts/timescale.sh install
    scripts/kafka.sh install
}

# A folder as an image, unless it is one already.
folder() {
    podman image exists "$2" || {
        tar -C "$1" --exclude=./proc --exclude=./sys --exclude=./var/lib/lastgasp --exclude='./tmp/*' -c . | podman import -q - "$2"
    }
}

build() {
    podman build -q --network=host --isolation=chroot "$@"
}

image_of() {
    sed -n "s/^ *image: \(.*$1.*\)/\1/p" docker-compose.yml
}

images() {
    folder "$work/base" localhost/debian:bookworm
    folder build/trixie localhost/debian:trixie-timescaledb
    python=$(sed -n 's/^ARG PYTHON=//p' Dockerfile)
    podman tag localhost/debian:bookworm "$python"
    # pip needs this machine's own way to its packages.
    set -- -v /etc/ssl/certs:/etc/ssl/certs:ro
    [ ! -e /etc/pip.conf ] || set -- -v /etc/pip.conf:/etc/pip.conf:ro "$@"
    build "$@" -t "$(image_of lastgasp)" .
    for name in mosquitto timescaledb prometheus kafka; do
        image=$(image_of "$name")
        context=$images/..
        if [ "$name" = kafka ]; then  # its jars are no part of the repository
            context=$work/kafka
            rm -rf "$context"
            mkdir -p "$context"
            cp -r "$images" "$context/images"
            cp -rl build/kafka/libs "$context/libs" 2>/dev/null || cp -r build/kafka/libs "$context/libs"
        fi
        podman image exists "$image" || build -t "$image" -f "$images/$name.Dockerfile" "$context"
    done
}

clean() {
    podman rm --all --force --volumes --time 0 >/dev/null
    forget
}

forget() {
    grep -o " $work/\(storage\|run\)[^ ]*" /proc/mounts | sort -r | xargs -r umount
    rm -rf --one-file-system "$work/storage" "$work/run"
}

settings
case "${1-}" in
    install) install ;;
    images) images ;;
    podman) shift; exec podman "$@" ;;
    compose) shift; PATH="$work/venv/bin:$PATH" exec "$work/venv/bin/podman-compose" "$@" ;;
    clean) clean ;;
    *)
        sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
