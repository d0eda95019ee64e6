#!/usr/bin/env bash
# Installs what the tests run against into .tools/ of this checkout: an emulator of SQS and
# CloudWatch (PyPI) and Prometheus (Debian package, unpacked, no service). Says nothing and does
# nothing when all of it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="$PWD/.tools"
ministack_version=1.5.33

mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9 # two test commands at once install once

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_ministack() {
    echo "installing ministack $ministack_version into .tools/aws" >&2
    rm -rf "$tools/aws"
    python3 -m venv "$tools/aws"
    "$tools/aws/bin/pip" install --quiet --disable-pip-version-check "ministack==$ministack_version" cbor2
    echo "$ministack_version" >"$tools/aws/.complete"
}

install_prometheus() {
    echo "installing Prometheus from Debian into .tools/prometheus" >&2
    local fresh="$tools/prometheus.new"
    rm -rf "$fresh" && mkdir -p "$fresh"
    (
        cd "$fresh"
        # The package lists may be missing or too old to name a file that still exists.
        apt-get download prometheus >/dev/null 2>&1 || {
            as_root apt-get update -qq >/dev/null
            apt-get download prometheus >/dev/null
        }
        dpkg-deb -x prometheus_*.deb .
        rm -f prometheus_*.deb
        ./usr/bin/prometheus --version >/dev/null 2>&1
    )
    rm -rf "$tools/prometheus"
    mv "$fresh" "$tools/prometheus"
}

# A virtual environment names its own path inside: one that was moved or copied does not start.
[ "$(cat "$tools/aws/.complete" 2>/dev/null)" = "$ministack_version" ] &&
    "$tools/aws/bin/python" -c '' 2>/dev/null || install_ministack
[ -x "$tools/prometheus/usr/bin/prometheus" ] || install_prometheus
